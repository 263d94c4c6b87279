"""Clamps before values are moved, and not after: next to the layer that can store its result clamped.

relu(reshape(conv(x)))    =>    reshape(relu(conv(x)))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrt import ops
from mrt.graph import Graph, Node, Value
from mrt.transform.base import Builder, Pass


class ClampFirst(Pass):
    """Leaves no clamp whose input was only moved, by an operator that no one else reads."""

    name = "clamp_first"

    def run(self, graph: Graph) -> Graph:
        """The graph with clamps moved forward."""
        moved = True
        while moved:
            graph, moved = _one_forward(graph)
        return graph


def _one_forward(graph: Graph) -> tuple[Graph, bool]:
    """The graph with clamps before one operator more, and whether there were any to move."""
    builder = Builder(graph)
    uses = graph.use_counts()
    moved: set[Node] = set()

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.is_variable or ops.get(node.op).bounds(node) is None:
            return None
        before = node.inputs[0].node
        if before in moved or not _passes(before, graph, uses) or uses[node.inputs[0]] != 1:
            return None
        moved.add(node)
        builder.current = node
        mover = inputs[0].node
        dynamic = [value for value in mover.inputs if builder.constant(value) is None]
        clamped = {value: builder.op(node.op, [value], node.attrs) for value in dynamic}
        return [Value(replace(mover, inputs=tuple(clamped.get(value, value) for value in mover.inputs)))]

    return graph.rebuild(visit, builder.params), bool(moved)


def _passes(node: Node, graph: Graph, uses: dict[Value, int]) -> bool:
    """Whether the node only moves values that no one else reads, and no constant among them."""
    if node.is_variable or not ops.get(node.op).moves:
        return False
    return all(graph.constant(value) is None and uses[value] == 1 for value in ops.get(node.op).moved(node))
