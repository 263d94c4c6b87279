"""Leaves away what is for training only, so that labels are no inputs of the network.

SoftmaxOutput(x, label)                =>   SoftmaxActivation(x)
LinearRegressionOutput(x, label)       =>   x
Group(net(x), MakeLoss(f(x, label)))   =>   net(x)
margin(fc(x), one_hot(label))          =>   fc(x)     where there is nothing else: the last of what the label meets
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from mrt import ops
from mrt.errors import MRTError
from mrt.graph import Graph, Node, Value
from mrt.transform.base import Builder, Pass

logger = logging.getLogger(__name__)


class DropLabels(Pass):
    """Leaves no training loss and no label. Part of loading: while they are there, nothing can run without labels.

    Args:
        labels: the names of the inputs that are labels.
    """

    name = "drop_labels"

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self._labels = frozenset(labels)

    def run(self, graph: Graph) -> Graph:
        """The network without losses and labels.

        Raises:
            MRTError: no output of the network is its data's alone.
        """
        builder = Builder(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if not ops.of(node).compares:
                return None
            builder.current = node
            (value,) = ops.get(node.op).rewrite(node, inputs, builder) or ()
            # Users know the network's output by the loss's name.
            return [value if value in inputs else Value(replace(value.node, name=node.name))]

        graph = graph.rebuild(visit, builder.params)
        dependent = _dependent(graph, self._labels)
        if not dependent:
            return graph
        kept = [value for value in graph.outputs if value.node not in dependent] or _met(graph, dependent)
        if not kept:
            raise MRTError(f"every output of the network is made of its labels ({', '.join(sorted(self._labels))})")
        logger.info("the outputs are %s: the rest reads the labels", ", ".join(value.name for value in kept))
        return Graph(tuple(kept), graph.params, graph.inputs).pruned()


def _dependent(graph: Graph, labels: frozenset[str]) -> set[Node]:
    """The labels that are still there, and what depends on them."""
    found: set[Node] = set()
    for node in graph.nodes():
        if (node.is_variable and node.name in labels) or any(value.node in found for value in node.inputs):
            found.add(node)
    return found


def _met(graph: Graph, dependent: set[Node]) -> list[Value]:
    """What the network makes of its data and only then joins with a label; of several one after another, the last."""
    dynamic = graph.dynamic()
    met = dict.fromkeys(
        value
        for node in graph.nodes()
        if node in dependent
        for value in node.inputs
        if value.node in dynamic and value.node not in dependent and not value.node.is_variable
    )
    before = {node for value in met for node in Graph(value.node.inputs, graph.params, graph.inputs).nodes()}
    return [value for value in met if value.node not in before]
