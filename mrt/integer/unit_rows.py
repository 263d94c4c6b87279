"""Rows of a tensor brought to length 1, in integers, as exactly whatever the rows' magnitudes are.

    y = x / sqrt(sum x^2 + eps)

Rows of one tensor can be of very different magnitudes (ReLU leaves a background that is all zero beside edges), and
1 / sqrt(sum x^2 + eps) spreads over more orders of magnitude than integers on one scale hold. But the result hardly
depends on a row's magnitude. So each row is first divided by a number of its own, d, about its largest entry's:

    x' = x / d,    d = (largest |x| >> 14) + 1,    y = x' / sqrt(sum x'^2 + eps / d^2),

after which largest |x'| is between 2^12 and 2^14, and what is left to look up is between two bounds that are near each
other. The same d divides the whole row, so it need not be exact. Where a row's entries are below what eps comes to for
each, that stands in for the largest entry: the result is small then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import sympy

from mrt.graph import Array
from mrt.integer.context import QuantizeContext
from mrt.integer.levels import level_shifts, look_up_levels
from mrt.integer.qvalue import IntValue, QValue, exact

ROW_BITS = 17  # of the rows, at most
_BITS = 14  # of the divided rows
_RATE_BITS = 17  # of what they are multiplied with: 32 in all, signs included
_SMALLEST = 12  # the divided rows' largest entry has at least this many bits, save for what is all but zero
_WORKING = 31
_SQUARES = 2 * _BITS
_FAR = 22


@dataclass(frozen=True)
class _Rows:
    """Rows as wide integers.

    Attributes:
        tensor: the integers.
        unit: what 1 stands for.
        step: how many of them one step of the input comes to.
        smallest: the largest entry of a row that is not all zero is at least this.
    """

    tensor: IntValue
    unit: sympy.Rational
    step: int
    smallest: int


def unit_rows(ctx: QuantizeContext, x: QValue, axes: tuple[int, ...], eps: float, centre: bool) -> QValue:
    """x / sqrt(sum x^2 + eps) over the axes; or, where they are to be centred, (x - mean) / sqrt(variance + eps).

    Args:
        ctx: emits.
        x: of at most `ROW_BITS` bits.
        axes: what makes up a row.
        eps: not below 0.
        centre: whether to take off the row's mean.
    """
    count = int(np.prod([x.tensor.shape[axis] for axis in axes]))
    rows = _differences(ctx, x, axes, count) if centre else _lengthened(ctx, ctx.centered(x))
    guard = math.sqrt(eps * (count if centre else 1)) / float(rows.unit)  # as the rows are
    factor = math.sqrt(count) if centre else 1.0
    if guard > 2.0**_FAR * rows.step * math.sqrt(count):  # no row comes near what is added to its square
        return QValue(rows.tensor, exact(factor / guard))
    along = {"axis": axes, "keepdims": True}
    magnitude = rows.tensor if rows.tensor.range.min() >= 0 else ctx.emit("abs", [rows.tensor])
    largest = ctx.emit("max", [magnitude], along)
    smallest = rows.smallest
    floor = int(min(guard / math.sqrt(count), 2.0**_BITS * rows.step))
    if floor > smallest:
        smallest = floor
        largest = ctx.emit("broadcast_max", [largest, ctx.scalar(floor)])
    divisor = ctx.emit("cvm_right_shift", [largest], {"precision": largest.precision - _BITS + 1, "shift_bit": _BITS})
    divisor = ctx.emit("broadcast_add", [divisor, ctx.scalar(1)])
    divided = ctx.fit(ctx.emit("broadcast_div", [rows.tensor, divisor]), _BITS + 1)

    relative = guard / ((smallest + 2 ** (_BITS - 1) >> _BITS) + 1)  # what is added, as the root, where it is largest
    dropped = max(count.bit_length(), math.ceil(2 * math.log2(max(relative, 1.0))) - _SQUARES)
    squares = ctx.emit("broadcast_mul", [divided, divided])
    squares = ctx.emit(
        "cvm_right_shift", [squares], {"precision": max(_SQUARES + 2 - dropped, 2), "shift_bit": dropped}
    )
    total = ctx.fit(ctx.emit("sum", [squares], along), _WORKING - 1)
    if relative**2 >= 2.0 ** (dropped - 1):
        total = ctx.emit("broadcast_add", [total, _added(ctx, divisor, guard, relative, dropped)])

    low = max(2 ** (2 * min(_SMALLEST, int(smallest).bit_length() - 1)) >> dropped, 1)
    high = min(count << _SQUARES >> dropped, 2 ** (_WORKING - 1)) + int(relative**2 / 2.0**dropped)
    top = 2 ** (_RATE_BITS - 1) - 1

    def rate(total: Array) -> Array:
        found: Array = top * np.sqrt(low / np.maximum(total, low))
        return found

    shifts = level_shifts(high, max(low.bit_length() - 8, 0))
    rates = look_up_levels(ctx, total, shifts, rate, _RATE_BITS)
    product = ctx.emit("broadcast_mul", [divided, rates])
    return QValue(product, exact(factor / (top * math.sqrt(low * 2.0**dropped))))


def _differences(ctx: QuantizeContext, x: QValue, axes: tuple[int, ...], count: int) -> _Rows:
    """count x - sum x: exact, so that a row of one value becomes one of zeros."""
    along = {"axis": axes, "keepdims": True}
    free = _WORKING - 1 - x.tensor.precision - count.bit_length()
    if free >= 0:
        total = ctx.emit("sum", [x.tensor], along)
        total = ctx.double(total, free)
        scaled = ctx.emit("broadcast_mul", [x.tensor, ctx.scalar(count << free)])
        kind = "elemwise_sub" if scaled.shape == total.shape else "broadcast_sub"
        difference = ctx.emit(kind, [scaled, total])
        step = count << free
        return _Rows(difference, x.scale / step, step, max(step // 2, 1))
    spare = x.tensor.precision + count.bit_length() - _WORKING
    if spare > 0:
        tensor = ctx.emit("cvm_right_shift", [x.tensor], {"precision": x.tensor.precision - spare, "shift_bit": spare})
        x = QValue(tensor, x.scale * 2**spare)
    free = _WORKING - 1 - x.tensor.precision
    mean = _mean(ctx, ctx.emit("sum", [x.tensor], along), count, x.tensor.precision, free)
    difference = ctx.emit("broadcast_sub", [ctx.double(x.tensor, free), mean])
    return _Rows(difference, x.scale / 2**free, 1 << free, 1 << max(free - 1, 0))


def _mean(ctx: QuantizeContext, total: IntValue, count: int, bits: int, free: int) -> IntValue:
    """total * 2^free / count, by long division, for a mean of so many bits: exact where `count` divides the total."""
    number = ctx.scalar(count)
    whole = ctx.fit(ctx.emit("broadcast_div", [total, number]), bits)
    multiple = ctx.fit(ctx.emit("broadcast_mul", [whole, number]), _WORKING)
    rest = ctx.fit(ctx.emit("broadcast_sub", [total, multiple]), number.precision)
    digits = min(free, _WORKING - number.precision)
    fraction = ctx.fit(ctx.emit("broadcast_div", [ctx.double(rest, digits), number]), digits + 1)
    return ctx.emit("broadcast_add", [ctx.double(whole, free), ctx.double(fraction, free - digits)])


def _lengthened(ctx: QuantizeContext, x: QValue) -> _Rows:
    """x with as many bits as there are, so that its smallest rows have enough to be divided."""
    free = _WORKING - x.tensor.precision
    return _Rows(ctx.double(x.tensor, free), x.scale / 2**free, 1 << free, 1 << free)


def _added(ctx: QuantizeContext, divisor: IntValue, guard: float, relative: float, dropped: int) -> IntValue:
    """(guard / divisor)^2 >> dropped, from a quotient of 15 bits."""
    root = 2.0 ** (dropped / 2)
    extra = min(math.floor(math.log2((2**15 - 1) * root / relative)), 15)
    quotient = ctx.emit("broadcast_div", [ctx.scalar(round(guard / root * 2.0**extra)), divisor])
    quotient = ctx.fit(quotient, 16)
    squared = ctx.emit("broadcast_mul", [quotient, quotient])
    if extra:
        squared = ctx.emit("cvm_right_shift", [squared], {"precision": _WORKING - 1, "shift_bit": 2 * extra})
    return ctx.fit(squared, _WORKING - 1)
