"""Addition, subtraction and multiplication of two tensors, or of a tensor and a constant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import sympy

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue, Target, exact
from mrt.ops.base import Operator, Rewriter, sole

_MULTIPLIER_BITS = 15
_WHOLE_BITS = 16
_ADDEND_BITS = 30
_FINEST_STEPS = 2**10  # one step of the input is at most this many of the output


def _split(node: Node, ctx: QuantizeContext) -> tuple[Value, Array | None]:
    """The tensor operand and the constant one, None when both are tensors."""
    constants = [ctx.constant(value) for value in node.inputs]
    return (node.inputs[0], constants[1]) if constants[0] is None else (node.inputs[1], constants[0])


def _constant_second(node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
    """Commutative operators keep their constant on the right."""
    if rw.constant(inputs[0]) is None or rw.constant(inputs[1]) is not None:
        return None
    return [rw.op(node.op, [inputs[1], inputs[0]], node.attrs)]


def _same_shape(node: Node, shapes: Mapping[Value, Shape]) -> None:
    if any(len(shapes[value]) > 6 for value in node.inputs):
        raise refuse(node, "tensors of more than 6 axes are not supported")


class Add(Operator):
    """a + b."""

    names = ("broadcast_add", "elemwise_add", "_plus", "_add", "_Plus", "broadcast_plus", "add_n", "ElementWiseSum")
    summary = "both operands on one scale, elemwise_add / broadcast_add; a constant joins the requantization"
    elementwise = True
    adds = True
    affine = True
    spreading = "broadcast_add"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """At most 6 axes."""
        _same_shape(node, shapes)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """add_n becomes a chain of additions; everything is named broadcast_add or elemwise_add."""
        if len(inputs) == 1:
            return [inputs[0]]
        if len(inputs) > 2:
            total = inputs[0]
            for value in inputs[1:]:
                total = rw.op("elemwise_add", [total, value])
            return [total]
        if node.op not in ("broadcast_add", "elemwise_add") or (
            node.op == "elemwise_add" and any(rw.constant(v) is not None for v in inputs)
        ):
            return [rw.op("broadcast_add", inputs)]
        return _constant_second(node, inputs, rw)

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Tensors: requantize both to the output's wide scale and add. Constant: add its integer value."""
        tensor, constant = _split(node, ctx)
        if constant is not None:
            return affine(node, ctx, tensor, np.ones(1), constant)
        return add(node, ctx, 1)


class Subtract(Operator):
    """a - b."""

    names = ("broadcast_sub", "elemwise_sub", "_minus", "_sub", "_Minus", "broadcast_minus")
    summary = "as addition"
    elementwise = True
    adds = True
    spreading = "broadcast_sub"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """At most 6 axes."""
        _same_shape(node, shapes)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """A constant on either side makes it an addition."""
        left, right = rw.constant(inputs[0]), rw.constant(inputs[1])
        if left is not None and right is not None:
            return None
        if right is not None:
            return [rw.op("broadcast_add", [inputs[0], rw.param(-right)])]
        if left is not None:
            negated = rw.op("broadcast_mul", [inputs[1], rw.param(np.array([-1.0]))])
            return [rw.op("broadcast_add", [negated, inputs[0]])]
        return None if node.op in ("broadcast_sub", "elemwise_sub") else [rw.op("broadcast_sub", inputs)]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Requantize both to the output's wide scale and subtract."""
        return add(node, ctx, -1)


class Multiply(Operator):
    """a * b."""

    names = ("broadcast_mul", "elemwise_mul", "_mul", "_Mul")
    summary = "broadcast_mul of two 16-bit tensors; a uniform constant only changes the scale"
    elementwise = True
    affine = True
    passes_factors = True
    spreading = "broadcast_mul"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """At most 6 axes."""
        _same_shape(node, shapes)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """One name, and the constant on the right; a product with 1 / b or 1 / sqrt(b) is a division.

        Those are steep at 0 and reach far beyond all that the product needs, which a division's result does not.
        """
        if node.op != "broadcast_mul":
            return [rw.op("broadcast_mul", inputs)]
        if all(rw.constant(value) is None for value in inputs):
            for factor, other in (inputs, inputs[::-1]):
                inverse = factor.node
                if inverse.op == "reciprocal":
                    return [rw.op("broadcast_div", [other, inverse.inputs[0]])]
                if inverse.op == "rsqrt":
                    return [rw.op("broadcast_div", [other, rw.op("sqrt", [inverse.inputs[0]])])]
        return _constant_second(node, inputs, rw)

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """Those of the one that a constant multiplies."""
        return sole(given) if len(before[0]) == len(after) and before[0][:2] == after[:2] else None

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Tensors: the product of the integers, on the product of the scales."""
        tensor, constant = _split(node, ctx)
        if constant is not None:
            return affine(node, ctx, tensor, constant, np.zeros(1))
        a, b = (ctx.wide(value) for value in node.inputs)
        return QValue(ctx.emit("broadcast_mul", [a.tensor, b.tensor]), a.scale * b.scale)


def add(node: Node, ctx: QuantizeContext, sign: int) -> QValue:
    """a + sign * b on the wide scale that the annotation ties both operands and the result to."""
    target = ctx.annotation.wide(Value(node))
    a, b = (ctx.at(value, target) for value in node.inputs)
    kind = "elemwise" if a.tensor.shape == b.tensor.shape else "broadcast"
    return QValue(ctx.emit(f"{kind}_{'add' if sign > 0 else 'sub'}", [a.tensor, b.tensor]), target.scale)


def affine(node: Node, ctx: QuantizeContext, tensor: Value, factor: Array, addend: Array) -> QValue:
    """tensor * factor + addend for constant factor and addend, straight into the form wanted of the output.

    A uniform factor with no addend is exact: only the scale changes. So are whole numbers, such as class numbers.
    """
    q = ctx.get(tensor)
    if q.per_channel is not None:
        return replace(q, per_channel=q.per_channel.affine(factor.reshape(-1), addend.reshape(-1)))
    if whole := _whole(ctx, q, factor, addend):
        return whole
    if factor.size == 1 and not addend.any() and float(factor.reshape(())) > 0:
        return QValue(q.tensor, q.scale * exact(float(factor.reshape(()))), q.offset)
    if q.tensor.precision > 16 or q.offset:
        q = ctx.wide(tensor)
    finest = max(
        float(np.max(np.abs(factor))) * float(q.scale) / _FINEST_STEPS,
        float(np.max(np.abs(addend))) / 2.0 ** (_ADDEND_BITS - 2),
    )
    target: Target = ctx.target(node).no_finer_than(finest)
    ratio = factor.astype(np.float64) * float(q.scale) / float(target.scale)
    constant = addend.astype(np.float64) / float(target.scale) - target.offset
    bits = max(4, min(_MULTIPLIER_BITS, 31 - q.tensor.precision))
    limit, largest = 2.0 ** (bits - 1) - 1, max(float(np.max(np.abs(ratio))), 1e-12)
    shift = math.frexp(limit / largest)[1] - 1
    shift = min(shift, 30, math.frexp(2.0 ** (_ADDEND_BITS - 1) / (np.max(np.abs(constant)) + 1))[1] - 1)
    shift = max(shift, 1)
    multiplier = np.rint(ratio * 2.0**shift).astype(np.int64)
    integer = np.rint(constant * 2.0**shift).astype(np.int64)
    return QValue(ctx.scale_shift(q.tensor, multiplier, integer, shift, target.precision), target.scale, target.offset)


def _whole(ctx: QuantizeContext, q: QValue, factor: Array, addend: Array) -> QValue | None:
    """q * factor + addend where that is a matter of whole numbers of few bits, else None."""
    value, start = q.tensor, q.offset
    if not factor.any():
        value, start = ctx.filled(q.tensor, 0), 0
    elif q.scale != 1 or np.any(factor != np.rint(factor)):
        return None
    constant = addend + start * factor
    if np.any(constant != np.rint(constant)):
        return None
    largest = value.range.magnitude() * float(np.max(np.abs(factor))) + float(np.max(np.abs(constant)))
    if largest >= 2 ** (_WHOLE_BITS - 1):
        return None
    if factor.any() and np.any(factor != 1):
        value = ctx.emit("broadcast_mul", [value, ctx.param(factor)])
    if constant.any():
        value = ctx.emit("broadcast_add", [value, ctx.param(constant)])
    return QValue(ctx.fit(value, max(value.bits, 2)), sympy.Integer(1))
