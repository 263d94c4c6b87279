"""Functions of one variable, through cvm_lut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np
import sympy
from scipy import special

from mrt.graph import Array, Node, Value
from mrt.graph.attrs import number
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import IntValue, QValue, Target, exact
from mrt.ops.base import Operator, Rewriter

INDEX_BITS = 12
_FINER = 64
_STEEP = 512  # where one step of the table changes the function by more than this part of its range, it is steep
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
    summary = f"cvm_lut with 2^{INDEX_BITS} entries over the calibrated range"

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """The table is filled with f in the form wanted of the output."""
        return look_up(node, ctx, node.inputs[0], _FUNCTIONS[node.op])


class Absolute(Operator):
    """|x|."""

    names = ("abs",)
    summary = "abs; the scale stays"

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """The magnitudes of the integers."""
        q = ctx.centered(ctx.get(node.inputs[0]))
        return QValue(ctx.emit("abs", [q.tensor]), q.scale)


class HardSigmoid(Operator):
    """clip(alpha x + beta, 0, 1)."""

    names = ("hard_sigmoid",)
    summary = "scale, shift and clamp"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Multiplication, addition, clip."""
        scaled = rw.op("broadcast_mul", [inputs[0], rw.param(np.array([number(node, "alpha", 0.2)]))])
        shifted = rw.op("broadcast_add", [scaled, rw.param(np.array([number(node, "beta", 0.5)]))])
        return [rw.op("clip", [shifted], {"a_min": 0, "a_max": 1})]


def look_up(node: Node, ctx: QuantizeContext, value: Value, function: Callable[[Array], Array]) -> QValue:
    """function(value) through a table over the calibrated range of `value`; beyond it the last entries hold.

    Where that range is a few of the input's own steps, the table's step is a 64th of those. A function that is steep at
    the start of the range, as roots, logarithms and reciprocals are next to 0, takes a second table, 64 times as fine,
    for the first 64th of it: f(x) = coarse(x) + fine(x), where coarse is constant up to there and fine 0 from there on.
    """
    statistics = ctx.annotation.statistics(value)
    entries = 2**INDEX_BITS
    low, high = statistics.minimum, statistics.maximum
    q, target = ctx.get(value), ctx.target(node)
    step = exact(max((high - low) / (entries - 1), float(q.scale) / _FINER))
    index, real = _index(ctx, q, step, low)
    exactly = function(real)
    growth = np.abs(np.diff(exactly))
    if growth[:_FINER].max() * _STEEP <= np.ptp(exactly) or float(q.scale) > float(step) / 2:
        table = exactly / float(target.scale) - target.offset
        return QValue(_entries(ctx, index, table, target.precision), target.scale, target.offset)
    fine_index, fine_real = _index(ctx, q, step / _FINER, low)
    end = function(fine_real[-1:])
    coarse = np.where(real <= fine_real[-1], end, exactly) / float(target.scale) - target.offset
    fine = (function(fine_real) - end) / float(target.scale)
    parts = [
        _entries(ctx, index, coarse, target.precision),
        _entries(ctx, fine_index, fine, target.precision + 1),  # from one end of the range to the other
    ]
    return QValue(ctx.fit(ctx.emit("elemwise_add", parts), target.precision), target.scale, target.offset)


def _index(ctx: QuantizeContext, q: QValue, step: sympy.Rational, low: float) -> tuple[IntValue, Array]:
    """Where in a table with this step from `low` on each entry is, and what each place of the table stands for."""
    index = ctx.rescale(q, Target(step, round(low / float(step)), INDEX_BITS + 1))
    return index.tensor, float(index.scale) * (np.arange(2**INDEX_BITS) + index.offset)


def _entries(ctx: QuantizeContext, index: IntValue, table: Array, precision: int) -> IntValue:
    """The table's entries at the indices, rounded and saturated."""
    limit = 2 ** (precision - 1) - 1
    rounded = np.clip(np.rint(table), -limit, limit)
    found = ctx.emit("cvm_lut", [index, ctx.param(rounded)], {"in_dim": 2**INDEX_BITS})
    return ctx.fit(found, precision)
