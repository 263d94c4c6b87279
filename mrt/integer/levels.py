"""Tables over integers of many bits, whose steps follow the magnitude: fine where the integers are small.

    f(v) = T0[v >> a0] + T1[v >> a1] + …,    a0 < a1 < …

Each table (a level) has 2^12 entries and a step 64 times that of the level before. A level holds the function beyond
the level before, less its last value there, and zeros up to there; past its own end it keeps its last value, because
the target's look-up clamps the index. So a step is at most 1/64 of v, at a table for every 6 bits of v.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from mrt.graph import Array
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import IntValue

LEVEL_BITS = 12
_RATIO_BITS = 6


def level_shifts(largest: int, finest: int) -> list[int]:
    """The shift of each level, the finest first, for integers in 0..`largest`.

    Args:
        largest: the largest integer.
        finest: the step that the first level may have at most, as a power of two.
    """
    shifts = [max(0, int(largest).bit_length() - LEVEL_BITS)]
    while shifts[0] > finest:
        shifts.insert(0, max(0, finest, shifts[0] - _RATIO_BITS))
    return shifts


def look_up_levels(
    ctx: QuantizeContext, value: IntValue, shifts: list[int], function: Callable[[Array], Array], precision: int
) -> IntValue:
    """round(function(value)) of integers not below 0 (others read as 0), in `precision` bits.

    Args:
        ctx: emits.
        value: the integers.
        shifts: of the levels, as `level_shifts` gives them.
        function: of an array of integers; what it returns saturates at `precision` bits.
        precision: of the result.
    """
    limit = 2 ** (precision - 1) - 1
    places = np.arange(2**LEVEL_BITS)
    total: IntValue | None = None
    last, end = 0, -1
    for shift in shifts:
        at = places << shift
        table = np.clip(np.rint(function(at)), -limit, limit).astype(np.int64)
        table = np.where(at > end, table - last, 0)
        index = value
        if shift:
            bits = LEVEL_BITS + 2
            index = ctx.emit("cvm_right_shift", [value], {"precision": bits, "shift_bit": shift})
        found = ctx.emit("cvm_lut", [index, ctx.param(table)], {"in_dim": len(table)})
        total = found if total is None else ctx.emit("elemwise_add", [total, found])
        last, end = last + int(table[-1]), int(at[-1])
    assert total is not None
    return ctx.fit(total, precision)
