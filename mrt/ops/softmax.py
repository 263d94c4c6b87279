"""softmax in integers: a table for exp, a sum, a division."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import axis_of, flag, number, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue, Target, exact
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter, require_batch_kept

_INDEX_BITS = 12
_TABLE_BITS = 14
_ONE = 2**15 - 1  # what the output 1.0 is; times a table entry it leaves one of the 32 bits for rounding
_LOGIT_BITS = 30
_ADDEND_BITS = 28  # of each of two that are added, so that what is computed from the sum fits
SUM_SOFTMAX = "mrt_sum_softmax"
_SUMS = ("broadcast_add", "elemwise_add")


class Softmax(Operator):
    """exp(x - max) / sum exp(x - max) along one axis."""

    names = ("softmax",)
    summary = "exp by table down to Softmax_lambd nats below the maximum, then integer division"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Over whole axes, with a temperature above 0."""
        require_plain(node, shapes)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay where it is taken along another axis."""
        follow_along(node, channels)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """The temperature is a scalar factor; of a sum of two tensors, as in masked attention, it is SumSoftmax."""
        axis = axis_of(node, "axis", len(rw.shape(node.inputs[0])), -1)
        if node.attrs.get("temperature", "None") != "None":
            return [rw.op("softmax", [tempered(node, inputs[0], rw)], {"axis": axis})]
        total = inputs[0].node
        if total.op in _SUMS and all(rw.constant(value) is None for value in total.inputs):
            return [rw.op(SUM_SOFTMAX, total.inputs, {"axis": axis})]
        return None

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """trunc((e L + sum / 2) / sum) with L = 2^15 - 1 and e = round(exp(S (q - max q)) (2^14 - 1)) from a table."""
        x = ctx.get(node.inputs[0])
        step = _step(ctx, x, _LOGIT_BITS)
        if x.tensor.precision > 16 or x.offset or x.scale != step:
            x = ctx.rescale(x, Target(step, 0, _LOGIT_BITS))
        return _shares(ctx, x, axis_of(node, "axis", len(x.tensor.shape), -1))


class SumSoftmax(Operator):
    """softmax of a sum of two tensors.

    What hides positions from attention is added to it: 0, or a number so far below 0 that nothing is left of them. A
    form that represents both would have steps far too coarse for what is not hidden, so the sum is never stored: each
    addend is brought to the step in which softmax reads it, and saturates far beyond what matters.
    """

    names = (SUM_SOFTMAX,)
    summary = "what softmax of a sum becomes: both addends in softmax's own steps, then as softmax"

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """See Softmax."""
        x, other = (ctx.get(value) for value in node.inputs)
        if float(other.scale) < float(x.scale):
            x, other = other, x
        step = _step(ctx, x, _ADDEND_BITS)
        x = ctx.rescale(x, Target(step, 0, _ADDEND_BITS))
        other = ctx.rescale(other, Target(x.scale, 0, _ADDEND_BITS), exactly=True)
        kind = "elemwise_add" if x.tensor.shape == other.tensor.shape else "broadcast_add"
        total = QValue(ctx.emit(kind, [x.tensor, other.tensor]), x.scale)
        return _shares(ctx, total, axis_of(node, "axis", len(total.tensor.shape), -1))


def _step(ctx: QuantizeContext, x: QValue, bits: int) -> sympy.Rational:
    """The step in which softmax reads logits: the largest of them fits in `bits` bits, as saturated ones would tie.

    One of those bits is left free, for a multiplier that is no power of 2.
    """
    step = exact(max(ctx.softmax_lambda / (2**_INDEX_BITS - 1), float(x.scale) / 64))
    return max(step, x.scale * sympy.Integer(2) ** (x.tensor.bits - bits + 1))


def _shares(ctx: QuantizeContext, x: QValue, axis: int) -> QValue:
    """The softmax of logits of at most `_LOGIT_BITS` bits."""
    largest = ctx.emit("max", [x.tensor], {"axis": (axis,), "keepdims": True})
    below = ctx.emit("broadcast_sub", [x.tensor, largest])
    index = ctx.emit("broadcast_add", [below, ctx.scalar(2**_INDEX_BITS - 1)])
    scale = float(x.scale) * (np.arange(2**_INDEX_BITS) - (2**_INDEX_BITS - 1))
    table = np.rint(np.exp(scale) * (2**_TABLE_BITS - 1))
    table[0] = 0  # for all that is far below: of thousands of classes, the least step each would outweigh the largest
    powers = ctx.emit("cvm_lut", [index, ctx.param(table)], {"in_dim": 2**_INDEX_BITS})
    total = ctx.emit("sum", [powers], {"axis": (axis,), "keepdims": True})
    product = ctx.emit("broadcast_mul", [powers, ctx.scalar(_ONE)])
    half = ctx.emit("cvm_right_shift", [total], {"precision": total.precision, "shift_bit": 1})
    rounded = ctx.emit("broadcast_add", [product, ctx.fit(half, 31)])
    quotient = ctx.emit("broadcast_div", [rounded, total])
    return QValue(ctx.fit(quotient, _ONE.bit_length() + 1), sympy.Rational(1, _ONE))


class SoftmaxActivation(Operator):
    """softmax over the channels, or over everything but the batch axis."""

    names = ("SoftmaxActivation",)
    summary = "softmax"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Both modes."""
        if text(node, "mode", "instance") not in ("instance", "channel"):
            raise refuse(node, f"mode={node.attrs['mode']} is not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """softmax over axis 1; `instance` flattens for it."""
        shape = rw.shape(node.inputs[0])
        if len(shape) == 2 or text(node, "mode", "instance") == "channel":
            return [rw.op("softmax", inputs, {"axis": 1})]
        flat = rw.op("softmax", [rw.op("Flatten", inputs)], {"axis": 1})
        return [rw.op("Reshape", [flat], {"shape": rw.open_shape(Value(node))})]


class SoftmaxOutput(Operator):
    """softmax with a training loss."""

    names = ("SoftmaxOutput", "Softmax")
    summary = "softmax, the label is dropped"
    compares = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """softmax over the last axis, the channels, or everything but the batch axis."""
        if flag(node, "preserve_shape", False):
            return [rw.op("softmax", inputs[:1], {"axis": -1})]
        mode = "channel" if flag(node, "multi_output", False) else "instance"
        return [rw.op("SoftmaxActivation", inputs[:1], {"mode": mode})]


class LogisticRegressionOutput(Operator):
    """sigmoid with a training loss."""

    names = ("LogisticRegressionOutput",)
    summary = "sigmoid"
    compares = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """sigmoid; the label is dropped."""
        return [rw.op("sigmoid", inputs[:1])]


def require_plain(node: Node, shapes: Mapping[Value, Shape]) -> None:
    """Refuse a softmax over a part of the axis or over the batch, and one whose temperature is no factor.

    Raises:
        MRTError: the node has use_length, a temperature that is not above 0, or the batch's axis.
    """
    shape = shapes[node.inputs[0]]
    require_batch_kept(node, [axis_of(node, "axis", len(shape), -1)], shape, node.op)
    if node.attrs.get("use_length", "False") not in ("False", "0") or len(node.inputs) > 1:
        raise refuse(node, "use_length is not supported")
    temperature = node.attrs.get("temperature", "None")
    if temperature != "None" and number(node, "temperature") <= 0:
        raise refuse(node, f"temperature={temperature} is not above 0")


def tempered(node: Node, x: Value, rw: Rewriter) -> Value:
    """x by the temperature, where there is one."""
    if node.attrs.get("temperature", "None") == "None":
        return x
    return rw.op("broadcast_mul", [x, rw.param(np.array([1.0 / number(node, "temperature")]))])


def follow_along(node: Node, channels: ChannelNumbers) -> None:
    """The `follow` rule of what is taken along an axis."""
    x = channels.read(node)
    if x.axis == axis_of(node, "axis", x.ids.ndim, -1):
        raise NotFollowedError(f"{node.op} {node.name} is taken over them")
    channels.set(Value(node), x)
