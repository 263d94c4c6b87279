"""Operators with a scalar operand: rewritten to their two-operand forms, clamps or tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import number, refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.look_up import look_up
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter
from mrt.ops.unary import power

_LARGEST = float(np.finfo(np.float32).max)


def _scalar(node: Node, rw: Rewriter, function: str = "") -> Value:
    value = number(node, "scalar", 1.0)
    return rw.param(np.array([1.0 / value if function == "reciprocal" else value]))


class AddScalar(Operator):
    """x + c."""

    names = ("_plus_scalar", "_PlusScalar")
    summary = "broadcast_add with a constant"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """broadcast_add; + 0 vanishes."""
        if number(node, "scalar", 1.0) == 0:
            return [inputs[0]]
        return [rw.op("broadcast_add", [inputs[0], _scalar(node, rw)])]


class SubtractScalar(Operator):
    """x - c and c - x."""

    names = ("_minus_scalar", "_MinusScalar", "_rminus_scalar", "_RMinusScalar")
    summary = "broadcast_add / broadcast_mul with constants"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x + (-c), or -x + c."""
        value = number(node, "scalar", 1.0)
        if node.op in ("_minus_scalar", "_MinusScalar"):
            return [rw.op("broadcast_add", [inputs[0], rw.param(np.array([-value]))])]
        negated = rw.op("broadcast_mul", [inputs[0], rw.param(np.array([-1.0]))])
        return [rw.op("broadcast_add", [negated, rw.param(np.array([value]))])]


class MultiplyScalar(Operator):
    """x * c."""

    names = ("_mul_scalar", "_MulScalar")
    summary = "broadcast_mul with a constant"
    elementwise = True

    def looked_into(self, node: Node) -> tuple[Value, ...]:
        """Nothing where it multiplies by 0."""
        return () if number(node, "scalar", 1.0) == 0 else node.inputs

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """broadcast_mul; * 1 vanishes."""
        if number(node, "scalar", 1.0) == 1:
            return [inputs[0]]
        return [rw.op("broadcast_mul", [inputs[0], _scalar(node, rw)])]


class DivideScalar(Operator):
    """x / c and c / x."""

    names = ("_div_scalar", "_DivScalar", "_rdiv_scalar", "_RDivScalar")
    summary = "broadcast_mul with a constant; c / x through a table"
    elementwise = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """c must not be zero."""
        if node.op in ("_div_scalar", "_DivScalar") and number(node, "scalar", 1.0) == 0:
            raise refuse(node, "division by zero")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * (1 / c), or reciprocal(x) * c."""
        if node.op in ("_rdiv_scalar", "_RDivScalar"):
            return [rw.op("broadcast_mul", [rw.op("reciprocal", inputs), _scalar(node, rw)])]
        return [rw.op("broadcast_mul", [inputs[0], _scalar(node, rw, "reciprocal")])]


class PowerScalar(Operator):
    """x ** c."""

    names = ("_power_scalar", "_PowerScalar")
    summary = "c = 2: square; else by table"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """The named function where there is one."""
        exponent = number(node, "scalar", 1.0)
        functions = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", -0.5: "rsqrt"}
        if exponent == 1:
            return [inputs[0]]
        return [rw.op(functions[exponent], inputs)] if exponent in functions else None

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """A table."""
        return look_up(node, ctx, node.inputs[0], power(number(node, "scalar", 1.0)))


class ScalarPower(Operator):
    """c ** x for c above 0."""

    names = ("_rpower_scalar", "_RPowerScalar")
    summary = "exp of x log c"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """exp(x * log c)."""
        base = number(node, "scalar", 1.0)
        if base <= 0:
            raise refuse(node, f"powers of {base} are not supported (of numbers above 0 they are)")
        return [rw.op("exp", [rw.op("broadcast_mul", [inputs[0], rw.param(np.array([np.log(base)]))])])]


class ExtremeScalar(Operator):
    """max(x, c) and min(x, c)."""

    names = ("_maximum_scalar", "_MaximumScalar", "_minimum_scalar", "_MinimumScalar")
    summary = "clip"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """A clip open on one side; max(x, 0) is relu."""
        value = number(node, "scalar", 1.0)
        if node.op in ("_minimum_scalar", "_MinimumScalar"):
            return [rw.op("clip", inputs, {"a_min": -_LARGEST, "a_max": value})]
        if value == 0:
            return [rw.op("Activation", inputs, {"act_type": "relu"})]
        return [rw.op("clip", inputs, {"a_min": value, "a_max": _LARGEST})]


class Negative(Operator):
    """-x."""

    names = ("negative", "_np_negative")
    summary = "broadcast_mul by -1"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """broadcast_mul."""
        return [rw.op("broadcast_mul", [inputs[0], rw.param(np.array([-1.0]))])]


class Square(Operator):
    """x * x."""

    names = ("square",)
    summary = "broadcast_mul with itself"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """broadcast_mul."""
        return [rw.op("broadcast_mul", [inputs[0], inputs[0]])]
