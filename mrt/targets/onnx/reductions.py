"""sum, max and max_pool2d: in float32, or in two halves of 16 bits, or one shifted tensor after the other."""

from __future__ import annotations

from math import prod

import numpy as np

from mrt.errors import MRTError
from mrt.targets.onnx.writer import EXACT, Call, Made, Tensor, size

_MOST = 2**16  # numbers of int32 whose sum is found in halves
_LOWEST = np.iinfo(np.int32).min


def total(c: Call) -> Made:
    """Sum over axes."""
    (x,), axes = c.inputs, _axes(c)
    if not axes:
        return Made(c.reshape(c.read(x, x.fits_float), c.dims[0]), x.fits_float, x.reach)
    count = prod(size(x.dims[axis]) for axis in axes)
    if x.reach * count <= EXACT:
        return Made(_kept(c, c.op("ReduceSum", c.read(x, True), c.index(axes), keepdims=1)), True, x.reach * count)
    if count > _MOST:
        raise MRTError(f"a sum of {count} values of {x.magnitude.bit_length() + 1} bits does not fit float32")
    return Made(_kept(c, _in_parts(c, x, axes, count)), False)


def _in_parts(c: Call, x: Tensor, axes: list[int], count: int) -> str:
    """The sums of the low bits and of the others, which are exact in float32, joined in int32."""
    bits = 24 - (count - 1).bit_length()
    name = c.read(x, False)
    low = c.cast(c.op("BitwiseAnd", name, c.number((1 << bits) - 1, False)), True)
    high = c.cast(c.op("BitwiseAnd", name, c.number(-(1 << bits), False)), True)
    high = c.op("Mul", high, c.power(-bits))
    high, low = (c.op("ReduceSum", part, c.index(axes), keepdims=1) for part in (high, low))
    return c.joined(high, low, 1 << bits)


def largest(c: Call) -> Made:
    """Maximum over axes."""
    (x,), axes = c.inputs, _axes(c)
    if not axes:
        return Made(c.reshape(c.read(x, x.fits_float), c.dims[0]), x.fits_float, x.reach)
    if x.fits_float:
        return Made(_kept(c, c.op("ReduceMax", c.read(x, True), c.index(axes), keepdims=1)), True)
    high, low = c.halves(x)
    first = c.op("ReduceMax", high, c.index(axes), keepdims=1)
    rest = c.op("Where", c.op("Equal", high, first), low, c.number(-1, True))
    return Made(_kept(c, c.joined(first, c.op("ReduceMax", rest, c.index(axes), keepdims=1))), False)


def _axes(c: Call) -> list[int]:
    return list(c.operator.axes(c.attrs, len(c.inputs[0].dims)))


def _kept(c: Call, name: str) -> str:
    """Without the axes of size 1 that the operator drops."""
    return name if len(c.dims[0]) == len(c.inputs[0].dims) else c.reshape(name, c.dims[0])


def max_pool2d(c: Call) -> Made:
    """The largest value of each window; padding never wins."""
    (x,), a = c.inputs, c.attrs
    # Padding at the end that makes every window whole, so that ceil_mode needs no other's reading of it.
    ends = [
        max(0, (size(count) - 1) * stride + pool - pad - size(dim))
        for count, stride, pool, pad, dim in zip(c.dims[0][2:], a.strides, a.pool_size, a.pads, x.dims[2:])
    ]
    pads = [*a.pads, *ends]
    if x.fits_float:
        attrs = {"kernel_shape": list(a.pool_size), "strides": list(a.strides), "pads": pads}
        return Made(c.op("MaxPool", c.read(x, True), **attrs), True)
    name = c.op("Pad", c.read(x, False), c.index([0, 0, *a.pads, 0, 0, *ends]), c.number(_LOWEST, False))
    for axis, pool, stride, count in zip((2, 3), a.pool_size, a.strides, c.dims[0][2:]):
        reached = (size(count) - 1) * stride + 1
        taps = [
            c.op("Slice", name, *(c.index([end]) for end in (tap, tap + reached, axis, stride))) for tap in range(pool)
        ]
        name = c.op("Max", *taps)
    return Made(name, False)
