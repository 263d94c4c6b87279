"""Operators that join tensors along an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axis_of, integer
from mrt.graph.channels import condensed
from mrt.graph.layout import Layout
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue, Target
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter


class Concat(Operator):
    """Joins tensors along an axis: all in one integer form."""

    names = ("Concat", "concat")
    summary = "concatenate, all inputs on one scale"
    form = Form.SAME
    moves = True

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """Side by side."""
        joined = [numbers for numbers in given if numbers is not None]
        if len(joined) < len(given):
            return None
        axis = axis_of(node, "dim", len(after), 1)
        sizes = np.max([numbers.shape for numbers in joined], axis=0)
        whole = ([*sizes[:axis], shape[axis], *sizes[axis + 1 :]] for shape in before)
        return condensed(np.concatenate([np.broadcast_to(*each) for each in zip(joined, whole)], axis))

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Side by side where it joins along their axis; else those at one place are tied."""
        shapes = [channels.shapes[value] for value in node.inputs]
        axis = axis_of(node, "dim", len(shapes[0]), 1)
        layouts = [channels.read(node, position) for position in range(len(node.inputs))]
        lead = max(layouts, key=lambda layout: layout.ids.size)
        if axis == 0 or any(layout.axis != lead.axis for layout in layouts if layout.ids.size > 1):
            raise NotFollowedError(f"Concat {node.name} has them on several axes")
        if axis == lead.axis:
            parts = [layout.whole(shape) for layout, shape in zip(layouts, shapes)]
            channels.set(Value(node), Layout.of(np.concatenate(parts, axis), prefer=axis))
            return
        for layout in layouts:
            channels.tie(lead.vector, layout.vector)
        channels.set(Value(node), Layout(np.take(lead.ids, [0], axis), lead.axis, lead.size))

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """One name; a single input passes."""
        if len(inputs) == 1:
            return [inputs[0]]
        attrs = {"dim": integer(node, "dim", 1), "num_args": len(inputs)}
        return None if node.op == "Concat" else [rw.op("Concat", inputs, attrs)]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Bring every input to the output's form, unless all have one already; constants are quantized to it."""
        target = ctx.target(node)
        if shared := _shared_form(node, ctx, target.precision):
            target = Target(shared.scale, shared.offset, target.precision)
        parts = []
        for value in node.inputs:
            constant = ctx.constant(value)
            if constant is None:
                parts.append((ctx.get(value) if shared else ctx.at(value, target)).tensor)
            else:
                steps = np.rint(constant / float(target.scale)) - target.offset
                parts.append(ctx.param(np.clip(steps, -target.limit, target.limit)))
        axis = axis_of(node, "dim", len(parts[0].shape), 1)
        return QValue(ctx.emit("concatenate", parts, {"axis": axis}), target.scale, target.offset)


class Stack(Operator):
    """Joins tensors along a new axis."""

    names = ("stack",)
    summary = "expand_dims, Concat"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Each tensor gets the axis, then they are joined along it."""
        return [stacked(rw, inputs, axis_of(node, "axis", len(rw.shape(node.inputs[0])) + 1, 0))]


def stacked(rw: Rewriter, values: Sequence[Value], axis: int) -> Value:
    """The values joined along a new axis."""
    expanded = [rw.op("expand_dims", [value], {"axis": axis}) for value in values]
    return rw.op("Concat", expanded, {"dim": axis, "num_args": len(expanded)}) if len(expanded) > 1 else expanded[0]


def _shared_form(node: Node, ctx: QuantizeContext, precision: int) -> QValue | None:
    """One of the inputs where all have its scale and offset and none takes more bits; there is no constant then."""
    if any(ctx.constant(value) is not None for value in node.inputs):
        return None
    first, *others = (ctx.get(value) for value in node.inputs)
    same = all((q.scale, q.offset) == (first.scale, first.offset) for q in others)
    return first if same and all(q.tensor.precision <= precision for q in (first, *others)) else None
