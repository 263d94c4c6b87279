"""Replaces training losses by what they compute at inference, so that labels are no inputs of the network.

SoftmaxOutput(x, label)             =>   SoftmaxActivation(x)
LinearRegressionOutput(x, label)    =>   x
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrt import ops
from mrt.graph import Graph, Node, Value
from mrt.transform.base import Builder, Pass

LOSSES = ("SoftmaxOutput", "Softmax", "LogisticRegressionOutput", "LinearRegressionOutput", "MAERegressionOutput")


class DropLabels(Pass):
    """Leaves no training loss. Part of loading, because nothing can run without labels while losses are there."""

    name = "drop_labels"

    def run(self, graph: Graph) -> Graph:
        """The network without losses."""
        builder = Builder(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.op not in LOSSES:
                return None
            builder.current = node
            (value,) = ops.get(node.op).rewrite(node, inputs, builder) or ()
            # Users know the network's output by the loss's name.
            return [value if value in inputs else Value(replace(value.node, name=node.name))]

        return graph.rebuild(visit, builder.params)
