"""Operators that rearrange values: the integers pass through unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cvm.ops
import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axes_of, axis_of, flag, integer, integers, positive, refuse
from mrt.graph.channels import condensed
from mrt.graph.layout import Layout
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter, sole


class Mover(Operator):
    """Shared rule: the output has the input's integer form."""

    form = Form.SAME
    moves = True

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """The target's operator, and its attributes, that does to integers of this shape what the node does."""
        raise NotImplementedError

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """They move as the target's integers do."""
        numbers = sole(given)
        if numbers is None:
            return None
        op, attrs = self.emitted(node, before[0])
        text = {key: str(value) for key, value in attrs.items()}
        (moved,) = cvm.ops.get(op).formal(text, [np.broadcast_to(numbers, before[0])])
        return condensed(moved)

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Apply the operator to the integers."""
        q = ctx.like_output(node)
        op, attrs = self.emitted(node, q.tensor.shape)
        return QValue(ctx.emit(op, [q.tensor], attrs), q.scale, q.offset)


class Flatten(Mover):
    """Collapses all axes but the first."""

    names = ("Flatten", "flatten")
    summary = "flatten"

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """By the elements."""
        _follow_reshaped(node, channels)

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """flatten."""
        return "flatten", {}


class Reshape(Mover):
    """Reshape with MXNet's codes."""

    names = ("Reshape", "reshape")
    summary = "reshape"

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """By the elements; the shape is written anew for those that are left."""
        layout, shape = _follow_reshaped(node, channels), channels.shapes[Value(node)]

        def change(inputs: tuple[Value, ...], kept: Array) -> Sequence[Value]:
            sizes = [int(kept.sum()) if axis == layout.axis else size for axis, size in enumerate(shape)]
            attrs = {**node.attrs, "shape": str((-1, *sizes[1:])), "reverse": "False"}
            return [Value(replace(node, inputs=inputs, attrs=attrs))]

        channels.change(node, layout.vector, change)

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

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay, on an axis that may be one further."""
        x = channels.read(node)
        axis = axis_of(node, "axis", x.ids.ndim + 1)
        channels.set(Value(node), Layout(np.expand_dims(x.ids, axis), x.axis + (axis <= x.axis), x.size))

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """expand_dims."""
        axis = integer(node, "axis")
        return "expand_dims", {"axis": axis if axis >= 0 else axis + len(shape) + 1}


class Squeeze(Mover):
    """Removes axes of size 1."""

    names = ("squeeze",)
    summary = "squeeze"

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay where other axes go."""
        x, shape = channels.read(node), channels.shapes[node.inputs[0]]
        named = node.attrs.get("axis", "None") not in ("None", "()")
        axes = axes_of(node, "axis", len(shape)) if named else tuple(np.flatnonzero(np.array(shape) == 1).tolist())
        if x.axis in axes or 0 in axes:
            raise NotFollowedError(f"squeeze {node.name} drops their axis")
        channels.set(Value(node), x.without(axes, keep=False))

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

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They move with their axis."""
        _follow_transposed(node, channels, _order(node, len(channels.shapes[node.inputs[0]])))

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """transpose."""
        return "transpose", {"axes": _order(node, len(shape))}


class SwapAxis(Operator):
    """Exchanges two axes."""

    names = ("SwapAxis", "swapaxes", "SwapAxes")
    summary = "transpose"
    moves = True

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They move with their axis."""
        _follow_transposed(node, channels, _swapped(node, len(channels.shapes[node.inputs[0]])))

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """transpose."""
        return [rw.op("transpose", inputs, {"axes": _swapped(node, len(rw.shape(node.inputs[0])))})]


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


def _order(node: Node, rank: int) -> tuple[int, ...]:
    """The axes as transpose puts them."""
    return axes_of(node, "axes", rank, ()) or tuple(reversed(range(rank)))


def _swapped(node: Node, rank: int) -> tuple[int, ...]:
    """The axes as SwapAxis puts them."""
    axes = list(range(rank))
    first, second = axis_of(node, "dim1", rank, 0), axis_of(node, "dim2", rank, 0)
    axes[first], axes[second] = axes[second], axes[first]
    return tuple(axes)


def _follow_reshaped(node: Node, channels: ChannelNumbers) -> Layout:
    """The channels of a reshape's output, element by element; the batch axis must stay."""
    x, out = channels.read(node), channels.shapes[Value(node)]
    if not out or out[0] != 1:
        raise NotFollowedError(f"{node.op} {node.name} moves the batch axis")
    layout = Layout.of(x.whole(channels.shapes[node.inputs[0]]).reshape(out))
    channels.set(Value(node), layout)
    return layout


def _follow_transposed(node: Node, channels: ChannelNumbers, axes: Sequence[int]) -> None:
    x = channels.read(node)
    if axes[0] != 0:
        raise NotFollowedError(f"{node.op} {node.name} moves the batch axis")
    channels.set(Value(node), x.transposed(axes))
