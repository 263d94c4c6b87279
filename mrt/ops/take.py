"""take: rows of a constant table by number, or entries of the network's data at constant places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axes_of, axis_of, refuse, text
from mrt.graph.channels import condensed
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter


class Take(Operator):
    """x[…, number, …] along one axis; a number beyond the axis takes the nearest entry."""

    names = ("take",)
    summary = "rows of a constant table: Embedding; constant places along an axis: take"
    form = Form.SAME
    moves = True

    def moved(self, node: Node) -> tuple[Value, ...]:
        """What is taken, not the places."""
        return node.inputs[:1]

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Numbers beyond the axis take the nearest entry."""
        if text(node, "mode", "clip") != "clip":
            raise refuse(node, f"mode={node.attrs['mode']} is not supported (clip is)")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Embedding where the numbers are the network's data."""
        shape = rw.open_shape(node.inputs[0])
        axis = axis_of(node, "axis", len(shape), 0)
        if rw.constant(inputs[0]) is None:
            if rw.constant(inputs[1]) is None:
                raise refuse(node, "the numbers or what is taken must be constant")
            if shape[axis] == -1:
                raise refuse(node, "taking along the batch axis is not supported")
            return None
        if axis != 0 or len(shape) != 2:
            raise refuse(node, "of a constant, only rows of a table of two axes can be taken")
        return [rw.op("Embedding", [inputs[1], inputs[0]], {"input_dim": shape[0], "output_dim": shape[1]})]

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """Those at the places."""
        numbers, places = given[0], constants[1]
        if numbers is None or places is None:
            return None
        axis = axis_of(node, "axis", numbers.ndim, 0)
        if places.ndim != 1:
            return None
        if numbers.shape[axis] == 1:
            return numbers
        return condensed(np.take(numbers, _inside(places, before[0][axis]), axis))

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Take of the integers."""
        places = ctx.constant(node.inputs[1])
        if places is None:
            raise refuse(node, "the numbers are not constant")
        q = ctx.like_output(node)
        axis = axis_of(node, "axis", len(q.tensor.shape), 0)
        inside = _inside(places, q.tensor.shape[axis])
        taken = ctx.emit("take", [q.tensor, ctx.param(inside)], {"axis": axis})
        return QValue(taken, q.scale, q.offset)


def _inside(places: Array, size: int) -> Array:
    """The places along an axis of this size; MXNet takes the nearest entry for those beyond."""
    inside: Array = np.clip(np.trunc(places), 0, size - 1).astype(np.int32)
    return inside


class Reverse(Operator):
    """The entries along some axes in reverse order."""

    names = ("reverse", "flip")
    summary = "take"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """take of the last, the last but one, and so on."""
        shape = rw.open_shape(node.inputs[0])
        result = inputs[0]
        for axis in axes_of(node, "axis", len(shape)):
            if shape[axis] == -1:
                raise refuse(node, "reversing the batch axis is not supported")
            result = taken(rw, result, axis, range(shape[axis] - 1, -1, -1))
        return [result]


def taken(rw: Rewriter, value: Value, axis: int, places: Iterable[int]) -> Value:
    """The entries at constant places along an axis."""
    return rw.op("take", [value, rw.param(np.array(list(places)))], {"axis": axis, "mode": "clip"})
