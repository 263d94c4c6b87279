"""Functions of one variable, through cvm_lut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np
from scipy import special

from mrt.graph import Array, Node, Value
from mrt.graph.attrs import number
from mrt.integer.context import QuantizeContext
from mrt.integer.look_up import INDEX_BITS, look_up
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter

_SMALLEST = 1e-12


def _nonzero(x: Array) -> Array:
    return np.where(np.abs(x) < _SMALLEST, _SMALLEST, x)


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exp": np.exp,
    "log": lambda x: np.log(np.maximum(x, 1e-12)),
    "sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
    "rsqrt": lambda x: 1 / np.sqrt(np.maximum(x, 1e-12)),
    "reciprocal": lambda x: 1 / _nonzero(x),
    "erf": special.erf,
    "abs": np.abs,
    "log1p": lambda x: np.log1p(np.maximum(x, -1 + 1e-12)),
    "expm1": np.expm1,
    "log2": lambda x: np.log2(np.maximum(x, 1e-12)),
    "log10": lambda x: np.log10(np.maximum(x, 1e-12)),
    "cbrt": np.cbrt,
    "rcbrt": lambda x: 1 / np.cbrt(_nonzero(x)),
    "sin": np.sin,
    "cos": np.cos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsinh": np.arcsinh,
    "softrelu": lambda x: np.logaddexp(0, x),
}


def power(exponent: float) -> Callable[[Array], Array]:
    """x ** exponent; where the power of a negative number is none, that of 0."""

    def function(x: Array) -> Array:
        base = x if exponent == round(exponent) else np.maximum(x, 0)
        result: Array = np.power(_nonzero(base), exponent)
        return result

    return function


def function_of(op: str, attrs: Mapping[str, str]) -> Callable[[Array], Array] | None:
    """What an operator of one tensor computes of each entry, for those that have a table."""
    if op == "_power_scalar":
        return power(float(attrs["scalar"]))
    return _FUNCTIONS.get(op)


class Table(Operator):
    """f(x) for a smooth f of one variable."""

    names = tuple(name for name in _FUNCTIONS if name != "abs")
    summary = f"cvm_lut with 2^{INDEX_BITS} entries, over the calibrated range and beyond; more where it is steep"
    elementwise = True

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """The table is filled with f in the form wanted of the output."""
        return look_up(node, ctx, node.inputs[0], _FUNCTIONS[node.op])


class Absolute(Operator):
    """|x|."""

    names = ("abs",)
    summary = "abs; the scale stays"
    elementwise = True

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """The magnitudes of the integers."""
        q = ctx.centered(ctx.get(node.inputs[0]))
        return QValue(ctx.emit("abs", [q.tensor]), q.scale)


class HardSigmoid(Operator):
    """clip(alpha x + beta, 0, 1)."""

    names = ("hard_sigmoid",)
    summary = "scale, shift and clamp"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Multiplication, addition, clip."""
        scaled = rw.op("broadcast_mul", [inputs[0], rw.param(np.array([number(node, "alpha", 0.2)]))])
        shifted = rw.op("broadcast_add", [scaled, rw.param(np.array([number(node, "beta", 0.5)]))])
        return [rw.op("clip", [shifted], {"a_min": 0, "a_max": 1})]
