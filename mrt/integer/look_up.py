"""A function of one variable through tables over the range that its input can have, with steps that follow the curve.

One table of 2^12 even steps serves a smooth function. One that is steep at an end of its range, as roots, logarithms
and reciprocals are next to 0 and exponentials at their largest, takes another table, 64 times as fine, for the 64th of
the range at that end, and so on:

    f(x) = coarse(x) + fine(x),

where coarse is constant within the finer table's range and fine is 0 outside of it: the target's look-up clamps.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
import sympy

from mrt.graph import Array, Node, Value
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import IntValue, QValue, Target, exact
from mrt.statistics.tensor import Statistics

INDEX_BITS = 12
_FINER = 64
_STEEP = 512  # where one step of the table changes the function by more than this part of its range, it is steep
_MOST_TABLES = 3
_BEYOND, _BELOW = 2.0, 4.0  # how much larger, and how much nearer to 0, than all that was seen the input may be
_PLACES = 257

Function = Callable[[Array], Array]


def look_up(node: Node, ctx: QuantizeContext, value: Value, function: Function) -> QValue:
    """function(value) in the form wanted of the node's output, by one table or the sum of several.

    The tables cover what calibration saw of `value` and, within what its integers can hold, up to twice as much and
    down to a quarter of it, save where the output saturates or stays as it is; beyond, the last entries hold. Where
    that is a few of the input's own steps, the table's step is a 64th of those.
    """
    q, target = ctx.get(value), ctx.target(node)
    largest = float(target.scale) * (target.limit + target.offset)
    least = float(target.scale) * (target.offset - target.limit)

    def part(x: Array) -> Array:
        return np.clip(function(x), least, largest)

    low, high = _reach(ctx.annotation.statistics(value), q, part, float(target.scale))
    entries = 2**INDEX_BITS
    step = exact(max((high - low) / (entries - 1), float(q.scale) / _FINER))
    index, real = _index(ctx, q, step, low)
    table = part(real)
    span = float(np.ptp(table))
    parts: list[IntValue] = []
    edge = float(target.scale) * target.offset  # what of the function other tables hold already
    precision = target.precision
    while len(parts) < _MOST_TABLES - 1 and float(q.scale) <= float(step) / 2:
        growth = np.abs(np.diff(table))
        at_start = growth[:_FINER].max() >= growth[-_FINER:].max()
        if max(growth[:_FINER].max(), growth[-_FINER:].max()) * _STEEP <= span:
            break
        step = exact(float(step) / _FINER)
        start = float(real[0]) if at_start else float(real[-1]) - float(step) * (entries - 1)
        finer, real_finer = _index(ctx, q, step, start)
        inner = real_finer[-1] if at_start else real_finer[0]
        at_inner = float(part(np.array([inner]))[0])
        coarse = np.where(real <= inner if at_start else real >= inner, at_inner, table)
        parts.append(_entries(ctx, index, (coarse - edge) / float(target.scale), precision))
        index, real, edge = finer, real_finer, at_inner
        table = part(real)
        precision = target.precision + 1  # from one end of the range to the other
    parts.append(_entries(ctx, index, (table - edge) / float(target.scale), precision))
    total = parts[0]
    for other in parts[1:]:
        total = ctx.emit("elemwise_add", [total, other])
    return QValue(ctx.fit(total, target.precision), target.scale, target.offset)


def _reach(statistics: Statistics, q: QValue, part: Function, step: float) -> tuple[float, float]:
    """The range that the tables are to cover."""
    ends = []
    for seen, outward, proven in (
        (statistics.minimum, -1, float(q.lower)),
        (statistics.maximum, 1, float(q.upper)),
    ):
        far = seen * (_BEYOND if seen * outward > 0 else 1 / _BELOW)
        far = max(far, proven) if outward < 0 else min(far, proven)
        if (far - seen) * outward <= 0:
            ends.append(seen)
            continue
        places = np.linspace(far, seen, _PLACES)
        values = part(places)
        changed = np.flatnonzero(np.abs(values - values[0]) > step / 2)
        ends.append(float(places[max(changed[0] - 1, 0)]) if len(changed) else seen)
    return ends[0], ends[1]


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
