"""Applies functions to tensors before they are joined, rather than after.

    f(concat(a, b))    =>    concat(f(a), f(b))

Joined tensors share one scale; where a is a thousand times larger than b, a function of both resolves little of b.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrt import ops
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Value
from mrt.graph.attrs import axis_of
from mrt.transform.base import Builder, Pass


class FunctionsBeforeJoins(Pass):
    """Moves what is elementwise before the join of channels that it reads, if it is more than clamps, sums and factors.

    What was moved before it is joined, as a detector's outputs are, stays as it is.
    """

    name = "functions_before_joins"

    def run(self, graph: Graph) -> Graph:
        """The graph with functions before joins."""
        builder = Builder(graph)
        joins = _joins(graph)
        parts: dict[Value, tuple[Value, ...]] = {}

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            out = Value(node)
            if joins.get(out) == out:
                parts[out] = inputs
            if joins.get(out, out) == out:
                return None
            builder.current = node
            apart = [
                [parts[old][index] if old in joins else new for old, new in zip(node.inputs, inputs)]
                for index in range(len(parts[joins[out]]))
            ]
            parts[out] = tuple(builder.op(node.op, each, node.attrs) for each in apart)
            return [builder.op("Concat", parts[out], {"dim": 1, "num_args": len(apart)})]

        return graph.rebuild(visit, builder.params)


def _joins(graph: Graph) -> dict[Value, Value]:
    """The join of each value that is made, by elementwise operators alone, of a join that some function reads so."""
    shapes = infer_shapes(graph)
    joins: dict[Value, Value] = {}
    read: set[Value] = set()
    for node in graph.nodes():
        out = Value(node)
        if node.op == "Concat":
            rank = len(shapes[out])
            moved = any(ops.of(value.node).moves for value in node.inputs if not value.node.is_variable)
            if rank > 1 and axis_of(node, "dim", rank, 1) == 1 and not moved:
                joins[out] = out
            continue
        dynamic = [value for value in node.inputs if graph.constant(value) is None]
        constants = [array for value in node.inputs if (array := graph.constant(value)) is not None]
        roots = {joins.get(value) for value in dynamic}
        if node.is_variable or not ops.of(node).elementwise or len(roots) != 1 or any(a.size != 1 for a in constants):
            continue
        (root,) = roots
        if root is not None:
            joins[out] = root
            linear = ops.of(node).adds or (ops.of(node).affine and constants)
            if ops.of(node).bounds(node) is None and not linear:
                read.add(root)
    return {value: root for value, root in joins.items() if root in read}
