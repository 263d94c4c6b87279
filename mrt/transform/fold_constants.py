"""Evaluates everything that does not depend on the network's input.

_ones() * w  ->  x + …        =>   x + param
"""

from __future__ import annotations

from collections.abc import Sequence

from mrt.executors.mxnet import Executor
from mrt.graph import Graph, Namer, Node, Value, as_param
from mrt.transform.base import Pass


class FoldConstants(Pass):
    """Leaves no operator whose inputs are all parameters."""

    name = "fold_constants"

    def run(self, graph: Graph) -> Graph:
        """The folded graph."""
        dynamic = graph.dynamic()
        frontier = [
            value
            for node in graph.nodes()
            if node in dynamic
            for value in node.inputs
            if value.node not in dynamic and not value.node.is_variable
        ] + [value for value in graph.outputs if value.node not in dynamic and not value.node.is_variable]
        frontier = list(dict.fromkeys(frontier))
        if not frontier:
            return graph
        arrays = dict(zip(frontier, Executor(Graph(tuple(frontier), graph.params, {}))({})))
        namer, params, folded = Namer(graph), {}, {}
        for value, array in arrays.items():
            name = namer(f"{value.node.name}_folded")
            params[name] = as_param(array)
            folded[value] = Value(Node("null", name, origin=value.node.origin))

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            outputs = [value for value in folded if value.node is node]
            if not outputs:
                return None
            last = max(value.index for value in outputs)
            return [folded.get(Value(node, index), Value(node, index)) for index in range(last + 1)]

        return graph.rebuild(visit, params)
