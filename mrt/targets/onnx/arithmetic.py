"""Elementwise operators, exactly: in float32 where that holds all values, else in int32.

Int32 is left to operators that engines compute in it: Add, Sub, Mul, Max, Min, Abs, Neg and the bitwise ones. Clip,
comparisons, reductions and divisions of int32 go by way of float32 in some.
"""

from __future__ import annotations

from math import prod

import onnx
from cvm.ops.base import INT32_MAX, limit

from mrt.targets.onnx.writer import EXACT, Call, Made, Tensor

_NEAR = 2**20  # quotients up to this are right to 1 in float32


def relu(c: Call) -> Made:
    """max(x, 0)."""
    (x,) = c.inputs
    if x.is_float:
        return Made(c.op("Relu", x.name), True)
    return Made(c.op("Max", c.read(x, False), c.number(0, False)), False)


def absolute(c: Call) -> Made:
    """|x|."""
    return _unary(c, "Abs")


def negative(c: Call) -> Made:
    """-x."""
    return _unary(c, "Neg")


def _unary(c: Call, kind: str) -> Made:
    (x,) = c.inputs
    return Made(c.op(kind, c.read(x, x.fits_float)), x.fits_float)


def clip(c: Call) -> Made:
    """x in [a_min, a_max]."""
    return _limited(c, c.attrs.a_min, c.attrs.a_max)


def cvm_clip(c: Call) -> Made:
    """x in +-(2^(precision-1) - 1)."""
    bound = limit(c.attrs.precision)
    return _limited(c, -bound, bound)


def _limited(c: Call, low: int, high: int) -> Made:
    (x,) = c.inputs
    name = c.read(x, x.fits_float)
    if low <= x.low and x.high <= high:
        return Made(name, x.fits_float, x.reach)
    if x.high < low or high < x.low:  # a constant: its value may be no float32
        return Made(c.between(c.read(x, False), False, low, high), False)
    return Made(c.between(name, x.fits_float, low, high), x.fits_float)


def cvm_right_shift(c: Call) -> Made:
    """floor(x / 2^s + 1/2), limited."""
    (x,), shift, bound = c.inputs, c.attrs.shift_bit, limit(c.attrs.precision)
    half = 1 << (shift - 1)
    if shift > 31:
        return Made(c.op("Mul", c.read(x, False), c.number(0, False)), False)
    if x.magnitude + half <= EXACT:
        scaled = c.op("Mul", c.read(x, True), c.power(-shift))
        name, is_float = c.op("Floor", c.op("Add", scaled, c.number(0.5, True))), True
    elif x.high + half <= INT32_MAX:
        name, is_float = _floor(c, c.op("Add", c.read(x, False), c.number(half, False)), shift)
    else:  # the sum would leave int32: floor(x / 2^s), and 1 where the next bit is set
        name, is_float = _floor(c, c.read(x, False), shift)
        bit = c.cast(c.op("BitwiseAnd", c.read(x, False), c.number(half, False)), True)
        bit = c.op("Mul", bit, c.power(1 - shift))
        name = c.op("Add", name, bit if is_float else c.cast(bit, False))
    if -bound <= (x.low + half) >> shift and (x.high + half) >> shift <= bound:
        return Made(name, is_float)
    return Made(c.between(name, is_float, -bound, bound), is_float)


def _floor(c: Call, name: str, shift: int) -> tuple[str, bool]:
    """floor(x / 2^shift) of an int32: its high bits, which float32 holds, scaled by a power of two."""

    def scaled(mask: int) -> str:
        part = c.cast(c.op("BitwiseAnd", name, c.number(mask, False)), True)
        return c.op("Mul", part, c.power(-shift))

    if shift >= 8:
        return scaled(-(1 << shift)), True
    upper, lower = scaled(-65536), scaled(65536 - (1 << shift))
    return c.op("Add", c.cast(upper, False), c.cast(lower, False)), False


def cvm_left_shift(c: Call) -> Made:
    """x * 2^s, limited."""
    (x,), shift, bound = c.inputs, c.attrs.shift_bit, limit(c.attrs.precision)
    is_float = x.fits_float and min(x.magnitude << shift, bound) <= EXACT
    factor = c.power(shift) if is_float else c.number(1 << shift, False)
    name = c.op("Mul", c.read(x, is_float), factor)
    if x.magnitude << shift <= bound:
        return Made(name, is_float)
    return Made(c.between(name, is_float, -bound, bound), is_float)


def cvm_precision(c: Call) -> Made:
    """The number of bits of |x|, at least 1."""
    (x,) = c.inputs
    if x.fits_float:
        return Made(_bits(c, c.op("Abs", c.read(x, True)), x.magnitude.bit_length()), True)
    magnitude = Tensor(c.op("Abs", c.read(x, False)), x.dims, 0, x.magnitude, x.magnitude, False)
    high, low = c.halves(magnitude)
    above = c.op("Add", _bits(c, high, 15), c.number(16, True))
    reached = c.op("GreaterOrEqual", high, c.number(1, True))
    return Made(c.op("Where", reached, above, _bits(c, low, 16)), True)


def _bits(c: Call, name: str, most: int) -> str:
    """1 and, for each power 2^1.. that x reaches, 1 more; x < 2^most."""
    total = c.number(1, True)
    for power in range(1, most):
        total = c.op("Add", c.cast(c.op("GreaterOrEqual", name, c.number(2**power, True)), True), total)
    return total if most > 1 else c.op("Add", c.op("Mul", name, c.number(0, True)), total)


def add(c: Call) -> Made:
    """a + b."""
    return _pair(c, "Add", sum(x.reach for x in c.inputs))


def subtract(c: Call) -> Made:
    """a - b."""
    return _pair(c, "Sub", sum(x.reach for x in c.inputs))


def multiply(c: Call) -> Made:
    """a * b."""
    return _pair(c, "Mul", prod(x.reach for x in c.inputs))


def _pair(c: Call, kind: str, reach: int) -> Made:
    is_float = reach <= EXACT and all(x.fits_float for x in c.inputs)
    name = c.op(kind, *(c.read(x, is_float) for x in c.inputs))
    return Made(name, is_float, reach if is_float else 0)


def maximum(c: Call) -> Made:
    """max(a, b)."""
    is_float = all(x.fits_float for x in c.inputs)
    return Made(c.op("Max", *(c.read(x, is_float) for x in c.inputs)), is_float)


def greater(c: Call) -> Made:
    """1 where a > b, else 0."""
    if all(x.fits_float for x in c.inputs):
        return Made(c.cast(c.op("Greater", *(c.read(x, True) for x in c.inputs)), True), True)
    a, b = (c.read(x, False) for x in c.inputs)
    differs = c.op("BitwiseXor", c.op("Max", a, b), b)
    return Made(c.cast(c.op("Cast", differs, to=onnx.TensorProto.BOOL), True), True)


def divide(c: Call) -> Made:
    """a / b truncated toward 0, and 0 where b is 0.

    Engines may divide int32 in float32, where the quotient is near: what is left of the dividend corrects it.
    """
    x, y = c.inputs
    a, b = c.read(x, False), c.read(y, False)
    dividend = a if x.low >= 0 else c.op("Abs", a)
    divisor = b if y.low > 0 else c.op("Max", c.op("Abs", b), c.number(1, False))
    quotient = c.op("Div", dividend, divisor)
    rest = c.op("Sub", dividend, c.op("Mul", quotient, divisor))
    if x.magnitude > _NEAR:
        more = c.op("Div", rest, divisor)
        quotient = c.op("Add", quotient, more)
        rest = c.op("Sub", rest, c.op("Mul", more, divisor))
    too_little = c.op("Sub", c.op("Add", rest, c.number(1, False)), divisor)
    quotient = c.op("Add", quotient, c.between(too_little, False, 0, 1))
    quotient = c.op("Add", quotient, c.between(rest, False, -1, 0))
    for name, operand in ((a, x), (b, y)):
        if operand.low < 0 or (operand is y and operand.low == 0):
            quotient = c.op("Mul", quotient, c.between(name, False, -1, 1))
    return Made(quotient, False)


def where(c: Call) -> Made:
    """a where the condition is not 0, else b; a 1-D condition chooses rows."""
    condition, x, y = c.inputs
    is_float = x.fits_float and y.fits_float
    chosen = c.op("Cast", c.read(condition, condition.fits_float), to=onnx.TensorProto.BOOL)
    if len(condition.dims) < len(x.dims):
        chosen = c.reshape(chosen, (*condition.dims, *[1] * (len(x.dims) - 1)))
    return Made(c.op("Where", chosen, c.read(x, is_float), c.read(y, is_float)), is_float)


def saturated(c: Call, name: str, precision: int) -> Made:
    """The input's integers, of any type, limited to its precision."""
    bound, is_float = limit(precision), limit(precision) <= EXACT
    limited = c.between(c.cast(name, False), False, -bound, bound)
    return Made(c.cast(limited, True) if is_float else limited, is_float)
