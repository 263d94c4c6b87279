"""Operators that rearrange values: the integers pass through unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axes_of, axis_of, flag, integer, integers, positive, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue, Target
from mrt.ops.base import Operator, Rewriter, sole


class Mover(Operator):
    """Shared rule: the output has the input's integer form."""

    form = Form.SAME
    moves = True

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """The target's operator, and its attributes, that does to integers of this shape what the node does."""
        raise NotImplementedError

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Apply the operator to the integers."""
        q = ctx.like_output(node)
        op, attrs = self.emitted(node, q.tensor.shape)
        return QValue(ctx.emit(op, [q.tensor], attrs), q.scale, q.offset)


class Flatten(Mover):
    """Collapses all axes but the first."""

    names = ("Flatten", "flatten")
    summary = "flatten"

    def channels(
        self, node: Node, given: Sequence[Array | None], before: Sequence[Shape], after: Shape
    ) -> Array | None:
        """Each channel once for each of its entries."""
        channels = sole(given)
        return None if channels is None else np.repeat(channels, int(np.prod(before[0][2:])))

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """flatten."""
        return "flatten", {}


class Reshape(Mover):
    """Reshape with MXNet's codes."""

    names = ("Reshape", "reshape")
    summary = "reshape"

    def channels(
        self, node: Node, given: Sequence[Array | None], before: Sequence[Shape], after: Shape
    ) -> Array | None:
        """Where it flattens: each channel once for each of its entries."""
        channels, shape = sole(given), before[0]
        flattens = len(shape) > 1 < shape[1] and after == (shape[0], int(np.prod(shape[1:])))
        return np.repeat(channels, int(np.prod(shape[2:]))) if flattens and channels is not None else None

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Codes that are read from the right (reverse), or the old target_shape: the shape that they lead to."""
        if integers(node, "shape", ()) and not flag(node, "reverse", False):
            return None
        return [rw.op("Reshape", inputs, {"shape": rw.open_shape(Value(node))})]

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """reshape."""
        return "reshape", {"shape": integers(node, "shape")}


class ExpandDims(Mover):
    """Inserts an axis of size 1."""

    names = ("expand_dims",)
    summary = "expand_dims"

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """expand_dims."""
        axis = integer(node, "axis")
        return "expand_dims", {"axis": axis if axis >= 0 else axis + len(shape) + 1}


class Squeeze(Mover):
    """Removes axes of size 1."""

    names = ("squeeze",)
    summary = "squeeze"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Name the axes, so that a batch of one is not squeezed away by accident."""
        if node.attrs.get("axis", "None") not in ("None", "()"):
            return None
        axes = tuple(i for i, size in enumerate(rw.open_shape(node.inputs[0])) if size == 1)
        return [rw.op("squeeze", inputs, {"axis": axes})] if axes else [inputs[0]]

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """squeeze."""
        return "squeeze", {"axis": axes_of(node, "axis", len(shape))}


class Transpose(Mover):
    """Permutes the axes."""

    names = ("transpose",)
    summary = "transpose"

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """transpose."""
        axes = axes_of(node, "axes", len(shape), ()) or tuple(reversed(range(len(shape))))
        return "transpose", {"axes": axes}


class SwapAxis(Operator):
    """Exchanges two axes."""

    names = ("SwapAxis", "swapaxes", "SwapAxes")
    summary = "transpose"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """transpose."""
        axes = list(range(len(rw.shape(node.inputs[0]))))
        first, second = integer(node, "dim1", 0), integer(node, "dim2", 0)
        axes[first], axes[second] = axes[second], axes[first]
        return [rw.op("transpose", inputs, {"axes": tuple(axes)})]


class Repeat(Mover):
    """Repeats entries along an axis."""

    names = ("repeat",)
    summary = "repeat"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The axis must be named, and something be left."""
        if node.attrs.get("axis", "None") == "None":
            raise refuse(node, "repeat without an axis is not supported")
        positive(node, "repeats")

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """repeat."""
        return "repeat", {"repeats": positive(node, "repeats"), "axis": axis_of(node, "axis", len(shape))}


class Tile(Mover):
    """Repeats the whole tensor."""

    names = ("tile",)
    summary = "tile"

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """tile."""
        return "tile", {"reps": integers(node, "reps")}


class UpSampling(Mover):
    """Enlargement by a whole number."""

    names = ("UpSampling",)
    summary = "nearest: upsampling, of several each to the same size, then Concat or sums; bilinear: Deconvolution"

    def channels(
        self, node: Node, given: Sequence[Array | None], before: Sequence[Shape], after: Shape
    ) -> Array | None:
        """They stay."""
        return sole(given)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """bilinear: MXNet's deconvolution with the weights that are its second input. Several: one by one."""
        if text(node, "sample_type", "nearest") == "nearest":
            return None if len(inputs) == 1 else [self._joined(node, inputs, rw)]
        scale, channels = positive(node, "scale"), rw.shape(node.inputs[0])[1]
        attrs = {
            "kernel": (2 * scale - scale % 2,) * 2,
            "stride": (scale, scale),
            "pad": (scale // 2,) * 2,
            "num_filter": channels,
            "num_group": channels,
            "no_bias": True,
        }
        return [rw.op("Deconvolution", inputs, attrs)]

    def _joined(self, node: Node, inputs: Sequence[Value], rw: Rewriter) -> Value:
        """Each input enlarged to the height of the result, joined along the channels or added up."""
        height = rw.shape(Value(node))[2]
        enlarged = []
        for before, value in zip(node.inputs, inputs):
            scale = height // rw.shape(before)[2]
            attrs = {"scale": scale, "sample_type": "nearest", "num_args": 1}
            enlarged.append(value if scale == 1 else rw.op("UpSampling", [value], attrs))
        if text(node, "multi_input_mode", "concat") == "sum":
            return rw.op("add_n", enlarged, {"num_args": len(enlarged)})
        return rw.op("Concat", enlarged, {"dim": 1, "num_args": len(enlarged)})

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """upsampling."""
        return "upsampling", {"scale": positive(node, "scale"), "method": "NEAREST_NEIGHBOR"}


class Concat(Operator):
    """Joins tensors along an axis: all in one integer form."""

    names = ("Concat", "concat")
    summary = "concatenate, all inputs on one scale"
    form = Form.SAME
    moves = True

    def channels(
        self, node: Node, given: Sequence[Array | None], before: Sequence[Shape], after: Shape
    ) -> Array | None:
        """Side by side, along axis 1."""
        joined = [channels for channels in given if channels is not None]
        return np.concatenate(joined) if integer(node, "dim", 1) == 1 and len(joined) == len(given) else None

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
