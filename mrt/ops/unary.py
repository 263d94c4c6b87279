"""Functions of one variable, through cvm_lut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

import numpy as np
from scipy import special

from mrt.graph import Array, Node, Value
from mrt.graph.attrs import number
from mrt.ops.base import Operator, Rewriter
from mrt.quantize.qvalue import QValue, Target, exact

INDEX_BITS = 12

_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exp": np.exp,
    "log": lambda x: np.log(np.maximum(x, 1e-12)),
    "sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
    "rsqrt": lambda x: 1 / np.sqrt(np.maximum(x, 1e-12)),
    "reciprocal": lambda x: 1 / np.where(np.abs(x) < 1e-12, 1e-12, x),
    "erf": special.erf,
    "abs": np.abs,
    "log1p": lambda x: np.log1p(np.maximum(x, -1 + 1e-12)),
    "expm1": np.expm1,
    "log2": lambda x: np.log2(np.maximum(x, 1e-12)),
    "log10": lambda x: np.log10(np.maximum(x, 1e-12)),
    "cbrt": np.cbrt,
    "rcbrt": lambda x: 1 / np.cbrt(np.where(np.abs(x) < 1e-12, 1e-12, x)),
    "sin": np.sin,
    "cos": np.cos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsinh": np.arcsinh,
}

if TYPE_CHECKING:
    from mrt.quantize.context import QuantizeContext


class Table(Operator):
    """f(x) for a smooth f of one variable."""

    names = tuple(_FUNCTIONS)
    summary = f"cvm_lut with 2^{INDEX_BITS} entries over the calibrated range"

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """The table is filled with f in the form wanted of the output."""
        return look_up(node, ctx, node.inputs[0], _FUNCTIONS[node.op])


class SoftReLU(Operator):
    """log(1 + exp(x)); MXNet has it as Activation."""

    names = ("softrelu",)
    summary = "cvm_lut"

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """A table."""
        return look_up(node, ctx, node.inputs[0], lambda x: np.logaddexp(0, x))

    def expand(self, node: Node) -> list[tuple[str, dict[str, str]]]:
        """Activation."""
        return [("Activation", {"act_type": "softrelu"})]


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

    Where that range is a few of the input's own steps, the table's step is a 64th of those.
    """
    statistics = ctx.annotation.statistics(value)
    entries = 2**INDEX_BITS
    low, high = statistics.minimum, statistics.maximum
    q = ctx.get(value)
    step = exact(max((high - low) / (entries - 1), float(q.scale) / 64))
    offset = round(low / float(step))
    index = ctx.rescale(q, Target(step, offset, INDEX_BITS + 1))
    real = float(index.scale) * (np.arange(entries) + index.offset)
    target = ctx.target(node)
    table = np.clip(np.rint(function(real) / float(target.scale) - target.offset), -target.limit, target.limit)
    result = ctx.emit("cvm_lut", [index.tensor, ctx.param(table)], {"in_dim": entries})
    return QValue(ctx.fit(result, target.precision), target.scale, target.offset)
