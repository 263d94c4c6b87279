"""Comparisons, which give 0 or 1, and the choice between two tensors by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import number, refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter

_CHOICE_BITS = 16  # the target gives the result the condition's precision, which must hold the values


class Compare(Operator):
    """x > c and x >= c for a constant c: 0 or 1."""

    names = ("broadcast_greater", "broadcast_greater_equal")
    summary = "broadcast_greater with the constant in steps of the tensor; of two tensors, of their difference"
    selects = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """The constant is on the right, and is 0 where there is none."""
        if rw.constant(inputs[1]) is not None:
            return None
        difference = rw.op("broadcast_sub", inputs)
        return [rw.op(node.op, [difference, rw.param(np.zeros(1))])]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """S (q + o) > c is q > floor(c / S - o); S (q + o) >= c is q > ceil(c / S - o) - 1."""
        bound = ctx.constant(node.inputs[1])
        assert bound is not None
        q = ctx.wide(node.inputs[0])
        steps = bound.astype(np.float64) / float(q.scale)
        last = np.floor(steps) if node.op == "broadcast_greater" else np.ceil(steps) - 1
        limit = 2**q.tensor.precision
        return QValue(
            ctx.emit("broadcast_greater", [q.tensor, ctx.param(np.clip(last, -limit, limit))]), sympy.Integer(1)
        )


class CompareEqual(Operator):
    """x == y and x != y."""

    names = ("broadcast_equal", "broadcast_not_equal", "_equal_scalar", "_not_equal_scalar")
    summary = "x >= y times x <= y; x > y plus x < y"
    selects = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Of integers: whether they are on the same step."""
        other = rw.param(np.array([number(node, "scalar", 1.0)])) if "scalar" in node.op else inputs[1]
        if rw.constant(inputs[0]) is not None:
            inputs, other = (other,), inputs[0]
        apart, end = "not" in node.op, "" if "not" in node.op else "_equal"
        ways = [rw.op(f"broadcast_{kind}{end}", [inputs[0], other]) for kind in ("greater", "lesser")]
        return [rw.op("broadcast_add" if apart else "broadcast_mul", ways)]


class CompareReversed(Operator):
    """x < y and x <= y."""

    names = ("broadcast_lesser", "broadcast_lesser_equal")
    summary = "the operands change places"
    selects = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """y > x, y >= x; -x > -c of a constant, which stays on the right."""
        kind = node.op.replace("lesser", "greater")
        if rw.constant(inputs[1]) is None:
            return [rw.op(kind, [inputs[1], inputs[0]])]
        negative = [rw.op("negative", [inputs[0]]), rw.param(-np.asarray(rw.constant(inputs[1])))]
        return [rw.op(kind, negative)]


class CompareScalar(Operator):
    """x > c, x >= c, x < c and x <= c."""

    names = ("_greater_scalar", "_greater_equal_scalar", "_lesser_scalar", "_lesser_equal_scalar")
    summary = "broadcast_greater, broadcast_greater_equal; of -x and -c for lesser"
    selects = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The operator of two operands; x < c is -x > -c."""
        x, bound = inputs[0], number(node, "scalar", 1.0)
        if node.op.startswith("_lesser"):
            x, bound = rw.op("broadcast_mul", [x, rw.param(np.array([-1.0]))]), -bound
        kind = "broadcast_greater_equal" if "equal" in node.op else "broadcast_greater"
        return [rw.op(kind, [x, rw.param(np.array([bound]))])]


class Where(Operator):
    """a where the condition is not 0, else b."""

    names = ("where",)
    summary = "where, both values on one scale"
    selects = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """All three of one shape."""
        condition, *values = (shapes[value] for value in node.inputs)
        if any(shape != condition for shape in values):
            raise refuse(node, f"a condition of shape {condition} for values of shape {values[0]} is not supported")

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """A value that is 0 everywhere is 0 on any scale; others are brought to the output's where theirs differ."""
        condition = ctx.wide(node.inputs[0]).tensor
        if condition.precision < _CHOICE_BITS:
            condition = ctx.double(condition, _CHOICE_BITS - condition.precision)
        a, b = (ctx.wide(value) for value in node.inputs[1:])
        if a.scale != b.scale:
            zero = [q.tensor.range.magnitude() == 0 for q in (a, b)]
            target = ctx.annotation.wide(Value(node))
            a, b = (q if any(zero) else ctx.at(v, target) for q, v in zip((a, b), node.inputs[1:]))
            scale = a.scale if zero[1] else b.scale
        else:
            scale = a.scale
        return QValue(ctx.emit("where", [condition, a.tensor, b.tensor]), scale)
