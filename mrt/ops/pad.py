"""Pad: usually folded into the convolution after it; else built from slices of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import integers, number, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import IntValue, QValue
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter, sole
from mrt.ops.take import taken


def pad_width(node: Node) -> list[tuple[int, int]]:
    """(before, after) for each axis."""
    flat = integers(node, "pad_width")
    return [(flat[2 * i], flat[2 * i + 1]) for i in range(len(flat) // 2)]


def _steps(node: Node, q: QValue) -> int:
    """The constant value as an integer of the form of `q`."""
    return round(number(node, "constant_value", 0.0) / float(q.scale)) - q.offset


class Pad(Operator):
    """Constant, edge or reflect padding of any axes but the batch's."""

    names = ("Pad", "pad")
    summary = (
        "zero padding before a convolution is folded into it; else concatenate with a repeated slice; reflect: take"
    )
    form = Form.SAME

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The batch axis is not padded, and what is reflected must be there."""
        mode = text(node, "mode")
        if mode not in ("constant", "edge", "reflect"):
            raise refuse(node, f"mode={mode} is not supported (constant, edge and reflect are)")
        width = pad_width(node)
        if len(width) != len(shapes[node.inputs[0]]) or any(w < 0 for pair in width for w in pair):
            raise refuse(node, f"pad_width={node.attrs['pad_width']} does not fit the input")
        sizes = shapes[node.inputs[0]]
        if any(size == -1 and pair != (0, 0) for size, pair in zip(sizes, width)):
            raise refuse(node, "padding of the batch axis is not supported")
        if mode == "reflect" and any(max(pair) >= size for pair, size in zip(width, sizes) if any(pair)):
            raise refuse(node, f"pad_width={node.attrs['pad_width']} reflects more than there is")

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay where other axes are padded."""
        x = channels.read(node)
        if any(pad_width(node)[x.axis]) or not x.plain:
            raise NotFollowedError(f"{node.op} {node.name} adds to them")
        channels.set(Value(node), x)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """reflect: take."""
        if text(node, "mode") != "reflect":
            return None
        result, shape = inputs[0], rw.shape(node.inputs[0])
        for axis, pair in enumerate(pad_width(node)):
            if any(pair):
                result = taken(rw, result, axis, np.pad(np.arange(shape[axis]), pair, mode="reflect"))
        return [result]

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """They stay where a border has no others; a border of zeros has any."""
        numbers = sole(given)
        if numbers is None or (text(node, "mode") == "constant" and number(node, "constant_value", 0.0) != 0):
            return None
        beside = any(any(pair) and size > 1 for pair, size in zip(pad_width(node), numbers.shape))
        return None if beside else numbers

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Each border is one slice of the input, repeated; a constant border is that slice times 0 plus the constant.

        So the border has the input's batch size, whatever it is at run time.
        """
        q = ctx.like_output(node)
        value = _steps(node, q)
        if abs(value) >= 2 ** (q.tensor.precision - 1):
            q = ctx.at(node.inputs[0], ctx.target(node))
            value = _steps(node, q)
        limit = 2 ** (q.tensor.precision - 1) - 1
        value = max(-limit, min(limit, value))
        data = q.tensor
        for axis, (before, after) in enumerate(pad_width(node)):
            parts = [data]
            if before:
                parts.insert(0, self._border(node, ctx, data, axis, 0, before, value))
            if after:
                parts.append(self._border(node, ctx, data, axis, data.shape[axis] - 1, after, value))
            if len(parts) > 1:
                data = ctx.emit("concatenate", parts, {"axis": axis})
        return QValue(data, q.scale, q.offset)

    def _border(
        self, node: Node, ctx: QuantizeContext, data: IntValue, axis: int, start: int, width: int, value: int
    ) -> IntValue:
        rank = len(data.shape)
        begin = tuple(start if i == axis else 0 for i in range(rank))
        end = tuple(start + 1 if i == axis else 2**30 for i in range(rank))
        border = ctx.emit("strided_slice", [data], {"begin": begin, "end": end, "stride": (1,) * rank})
        if text(node, "mode") == "constant":
            border = ctx.filled(border, value)
        return ctx.emit("repeat", [border], {"repeats": width, "axis": axis}) if width > 1 else border
