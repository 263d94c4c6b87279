"""Refuses networks with operators or attributes that cannot be compiled, before any work is done.

Convolution -> Foo            =>   MRTError: node foo0 (Foo): this operator is not supported; …
"""

from __future__ import annotations

from mrt import ops
from mrt.graph import Graph
from mrt.graph.attrs import refuse
from mrt.transform.base import Builder, Pass


class Validate(Pass):
    """Every operator that depends on the input is known and accepts its attributes."""

    name = "validate"

    def run(self, graph: Graph) -> Graph:
        """The same graph."""
        dynamic = graph.dynamic()
        nodes = [node for node in graph.nodes() if node in dynamic and not node.is_variable]
        for node in nodes:
            if not ops.known(node.op):
                raise refuse(node, "this operator is not supported")
            ops.get(node.op).check(node)
        builder = Builder(graph)
        shapes = {value: builder.open_shape(value) for node in nodes for value in node.inputs}
        for node in nodes:
            ops.get(node.op).validate(node, shapes)
        return graph
