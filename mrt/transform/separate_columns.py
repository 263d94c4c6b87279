"""Takes columns of joined tensors before they are joined, so that tensors of different units need no common scale.

slice(Concat(numbers, scores, corners))    =>   scores
slice(transpose(Concat(a, b)))             =>   transpose(a)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Shape, Value
from mrt.graph.attrs import axis_of, integers
from mrt.transform.base import Builder, Pass

_ALL = 2**30


class SeparateColumns(Pass):
    """Leaves no slice of one axis that could have been taken from fewer parts of a Concat along that axis."""

    name = "separate_columns"

    def run(self, graph: Graph) -> Graph:
        """The graph with those slices moved up."""
        builder = Builder(graph)
        before = infer_shapes(graph)
        columns = _Columns(builder, dict(before))

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            builder.current = node
            if node.is_variable:
                return None
            found = columns.of_slice(node, inputs[0]) if node.op == "slice" else None
            if found is not None:
                return [found]
            kept = node if inputs == node.inputs else replace(node, inputs=inputs)
            outputs = max((value.index for value in before if value.node is node), default=0) + 1
            for index in range(outputs):
                if Value(node, index) in before:
                    columns.shapes[Value(kept, index)] = before[Value(node, index)]
            return [Value(kept, index) for index in range(outputs)]

        return graph.rebuild(visit, builder.params)


class _Columns:
    """Finds or makes the parts of tensors.

    Attributes:
        shapes: of every value that may be asked for, at batch 1.
    """

    def __init__(self, builder: Builder, shapes: dict[Value, Shape]) -> None:
        self.shapes = shapes
        self._builder = builder

    def of_slice(self, node: Node, source: Value) -> Value | None:
        """What a slice of one axis takes, without the slice; None where that cannot be done."""
        shape = self.shapes[source]
        bounds = _bounds(node, shape)
        cut = [axis for axis, (begin, end, step) in enumerate(bounds) if (begin, end, step) != (0, shape[axis], 1)]
        if len(cut) != 1 or cut[0] == 0 or bounds[cut[0]][2] != 1:
            return None
        begin, end, _ = bounds[cut[0]]
        return self._column(source, cut[0], begin, end)

    def _column(self, value: Value, axis: int, begin: int, end: int) -> Value | None:
        """value[…, begin:end, …] along an axis, made of what is joined along it; None where nothing is."""
        node, shape = value.node, self.shapes[value]
        if node.op == "Concat":
            found = self._of_concat(node, len(shape), axis, begin, end)
        elif node.op == "transpose":
            found = self._of_transpose(node, len(shape), axis, begin, end)
        elif node.op in ("Reshape", "reshape"):
            found = self._of_reshape(node, shape, axis, begin, end)
        elif node.op == "slice":
            found = self._of_slice(node, axis, begin, end)
        else:
            return None
        if found is not None:
            self.shapes[found] = (*shape[:axis], end - begin, *shape[axis + 1 :])
        return found

    def _of_concat(self, node: Node, rank: int, axis: int, begin: int, end: int) -> Value | None:
        dim = axis_of(node, "dim", rank, 1)
        if dim != axis:
            found = [self._column(part, axis, begin, end) for part in node.inputs]
            pieces = [piece for piece in found if piece is not None]
            return self._joined(pieces, dim) if len(pieces) == len(found) else None
        pieces, start = [], 0
        for part in node.inputs:
            size = self.shapes[part][axis]
            first, last = max(begin - start, 0), min(end - start, size)
            if first < last:
                pieces.append(self._cut(part, axis, first, last))
            start += size
        return self._joined(pieces, axis)

    def _joined(self, pieces: Sequence[Value], axis: int) -> Value:
        if len(pieces) == 1:
            return pieces[0]
        return self._builder.op("Concat", pieces, {"dim": axis, "num_args": len(pieces)})

    def _cut(self, part: Value, axis: int, begin: int, end: int) -> Value:
        shape = self.shapes[part]
        if (begin, end) == (0, shape[axis]):
            return part
        found = self._column(part, axis, begin, end)
        if found is None:
            bounds = [(0, _ALL if i == 0 else size, 1) for i, size in enumerate(shape)]
            bounds[axis] = (begin, end, 1)
            found = self._slice(part, bounds)
            self.shapes[found] = (*shape[:axis], end - begin, *shape[axis + 1 :])
        return found

    def _of_transpose(self, node: Node, rank: int, axis: int, begin: int, end: int) -> Value | None:
        axes = integers(node, "axes", ()) or tuple(reversed(range(rank)))
        found = self._column(node.inputs[0], axes[axis] % rank, begin, end)
        return None if found is None else self._builder.op("transpose", [found], node.attrs)

    def _of_reshape(self, node: Node, shape: Shape, axis: int, begin: int, end: int) -> Value | None:
        """Only of the last axis, and where that stays as it is."""
        source = self.shapes[node.inputs[0]]
        wanted = integers(node, "shape")
        if axis != len(shape) - 1 or source[-1] != shape[-1] or wanted[-1] != shape[-1]:
            return None
        found = self._column(node.inputs[0], len(source) - 1, begin, end)
        return None if found is None else self._builder.op("Reshape", [found], {"shape": (*wanted[:-1], end - begin)})

    def _of_slice(self, node: Node, axis: int, begin: int, end: int) -> Value | None:
        bounds = _bounds(node, self.shapes[node.inputs[0]])
        start, _, step = bounds[axis]
        if step != 1:
            return None
        found = self._column(node.inputs[0], axis, start + begin, start + end)
        if found is None:
            return None
        bounds[axis] = (0, end - begin, 1)
        bounds[0] = (0, _ALL, 1)
        return self._slice(found, bounds)

    def _slice(self, value: Value, bounds: Sequence[tuple[int, int, int]]) -> Value:
        begin, end, step = zip(*bounds)
        return self._builder.op("slice", [value], {"begin": begin, "end": end, "step": step})


def _bounds(node: Node, shape: Shape) -> list[tuple[int, int, int]]:
    """Begin, end and step of a slice on every axis of a tensor of this shape; the slice is a rewritten one."""
    begin, end, step = (integers(node, key) for key in ("begin", "end", "step"))
    given = [(b, min(e, size), s) for b, e, s, size in zip(begin, end, step, shape)]
    return given + [(0, size, 1) for size in shape[len(given) :]]
