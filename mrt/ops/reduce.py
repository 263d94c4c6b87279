"""Reductions: sum, mean, max, min."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axes_of, flag
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter, require_batch_kept, sole


def reduced_axes(node: Node, rank: int) -> tuple[int, ...]:
    """The axes a reduction removes, non-negative and sorted."""
    raw = node.attrs.get("axis", "()")
    axes = set(axes_of(node, "axis", rank, ())) if raw not in ("None", "()") else set(range(rank))
    if flag(node, "exclude", False):
        axes = set(range(rank)) - axes
    return tuple(sorted(axes))


class Reduction(Operator):
    """What they share."""

    kind = "a reduction"
    """What it is called where it is refused."""

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """They stay where it is taken over none of them."""
        numbers, axes = sole(given), reduced_axes(node, len(before[0]))
        if numbers is None or any(numbers.shape[axis] > 1 for axis in axes):
            return None
        return numbers if flag(node, "keepdims", False) else numbers.squeeze(axes)

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The batch axis stays."""
        shape = shapes[node.inputs[0]]
        require_batch_kept(node, reduced_axes(node, len(shape)), shape, self.kind)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay where other axes are reduced."""
        x = channels.read(node)
        axes = reduced_axes(node, x.ids.ndim)
        if x.axis in axes or 0 in axes:
            raise NotFollowedError(f"{node.op} {node.name} is taken over them")
        channels.set(Value(node), x.without(axes, flag(node, "keepdims", False)))


class Sum(Reduction):
    """Sum over axes."""

    names = ("sum", "sum_axis")
    summary = "sum; the scale stays"
    form = Form.ANY

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """One name."""
        return None if node.op == "sum" else [rw.op("sum", inputs, node.attrs)]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """sum q stands for S (sum q + n o)."""
        q = ctx.get(node.inputs[0])
        axes = reduced_axes(node, len(q.tensor.shape))
        count = int(np.prod([q.tensor.shape[axis] for axis in axes]))
        if q.tensor.precision + count.bit_length() > 31:
            q = ctx.wide(node.inputs[0])
        total = ctx.emit("sum", [q.tensor], {"axis": axes, "keepdims": flag(node, "keepdims", False)})
        return QValue(total, q.scale, q.offset * count)


class Mean(Reduction):
    """Mean over axes."""

    names = ("mean",)
    summary = "sum, and a scale smaller by the count"
    kind = "a mean"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """sum * (1 / n)."""
        shape = rw.shape(node.inputs[0])
        axes = reduced_axes(node, len(shape))
        count = int(np.prod([shape[axis] for axis in axes]))
        total = rw.op("sum", inputs, {"axis": axes, "keepdims": flag(node, "keepdims", False)})
        return [rw.op("broadcast_mul", [total, rw.param(np.array([1.0 / count]))])]


class Max(Reduction):
    """Maximum over axes."""

    names = ("max", "max_axis")
    summary = "max; the integer form stays"
    form = Form.SAME

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """One name."""
        return None if node.op == "max" else [rw.op("max", inputs, node.attrs)]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """max commutes with the integer form."""
        q = ctx.like_output(node)
        attrs = {"axis": reduced_axes(node, len(q.tensor.shape)), "keepdims": flag(node, "keepdims", False)}
        return QValue(ctx.emit("max", [q.tensor], attrs), q.scale, q.offset)


class Min(Reduction):
    """Minimum over axes."""

    names = ("min", "min_axis")
    summary = "-max(-x)"
    kind = "a minimum"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Negate, max, negate."""
        minus = np.array([-1.0])
        negated = rw.op("broadcast_mul", [inputs[0], rw.param(minus)])
        largest = rw.op("max", [negated], node.attrs)
        return [rw.op("broadcast_mul", [largest, rw.param(minus)])]
