"""Operators that move values or choose them by others."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from cvm.ops.base import Array

from mrt.targets.onnx.writer import Call, Dims, Made, Tensor


def _moved(c: Call, name: str) -> Made:
    """What has the values of the first input, as they are kept."""
    return Made(name, _kept(c.inputs[0]), c.inputs[0].reach)


def _kept(x: Tensor) -> bool:
    """Whether in float32: as it is kept, and parameters where they fit."""
    return x.is_float if x.known is None else x.fits_float


def reshape(c: Call) -> Made:
    """reshape, squeeze, expand_dims, flatten: a new shape."""
    return _moved(c, c.reshape(c.read(c.inputs[0], _kept(c.inputs[0])), c.dims[0]))


def transpose(c: Call) -> Made:
    """The axes in another order."""
    (x,) = c.inputs
    axes = c.operator.axes(c.attrs, len(x.shape))
    return _moved(c, c.op("Transpose", c.read(x, _kept(x)), perm=list(axes)))


def concatenate(c: Call) -> Made:
    """Inputs behind each other along an axis."""
    is_float = all(x.fits_float for x in c.inputs)
    axis = c.attrs.axis % len(c.shapes[0])
    name = c.op("Concat", *(c.read(x, is_float) for x in c.inputs), axis=axis)
    return Made(name, is_float, max(x.reach for x in c.inputs))


def repeat(c: Call) -> Made:
    """Every entry of an axis several times."""
    (x,) = c.inputs
    axis = c.attrs.axis % len(x.shape)
    return _moved(c, c.columns(c.read(x, _kept(x)), _repeated(x.shape[axis], c.attrs.repeats), axis))


def upsampling(c: Call) -> Made:
    """Every pixel several times in both directions."""
    (x,) = c.inputs
    name = c.read(x, _kept(x))
    for axis in (2, 3):
        name = c.columns(name, _repeated(x.shape[axis], c.attrs.scale), axis)
    return _moved(c, name)


def _repeated(size: int, times: int) -> Array:
    return np.repeat(np.arange(size), times)


def tile(c: Call) -> Made:
    """The whole several times along each axis."""
    (x,) = c.inputs
    rank = len(c.shapes[0])
    name, more = c.read(x, _kept(x)), rank - len(x.shape)
    if more:
        name = c.reshape(name, (*[1] * more, *x.dims))
    for axis, times in enumerate(c.attrs.reps, rank - len(c.attrs.reps)):
        if times > 1:
            name = c.columns(name, np.tile(np.arange(x.shape[axis - more] if axis >= more else 1), times), axis)
    return _moved(c, name)


def part(c: Call) -> Made:
    """strided_slice, slice_like: a slice of each axis."""
    x = c.inputs[0]
    index: Sequence[slice] = c.operator.index(c.attrs, [each.shape for each in c.inputs])
    cuts = []
    for axis, (cut, size) in enumerate(zip(index, x.shape)):
        if (cut.start, cut.stop, cut.step or 1) != (0, size, 1):
            cuts.append((cut.start, -size - 1 if cut.stop is None else cut.stop, axis, cut.step or 1))
    name = c.read(x, _kept(x))
    if cuts:
        name = c.op("Slice", name, *(c.index(column) for column in zip(*cuts)))
    return _moved(c, name)


def take(c: Call) -> Made:
    """Entries of an axis, or of all, by indices that are limited to it."""
    data, indices = c.inputs
    flat: Dims = (prod(data.shape),) if data.dims == data.shape else ("N",)
    name = c.read(data, _kept(data))
    if c.attrs.axis is None:
        return _moved(c, c.op("Gather", c.reshape(name, flat), _limited(c, indices, prod(data.shape)), axis=0))
    axis = c.attrs.axis % len(data.shape)
    return _moved(c, c.op("Gather", name, _limited(c, indices, data.shape[axis]), axis=axis))


def cvm_lut(c: Call) -> Made:
    """Entries of a table, by indices that are limited to it."""
    indices, table = c.inputs
    name = c.reshape(c.read(table, _kept(table)), (prod(table.shape),))
    return Made(c.op("Gather", name, _limited(c, indices, prod(table.shape)), axis=0), _kept(table))


def _limited(c: Call, x: Tensor, size: int) -> str:
    """Indices in [0, size - 1], as integers."""
    if x.known is not None:
        return c.index(np.clip(x.known, 0, size - 1))
    name = c.read(x, x.fits_float)
    if x.low < 0 or x.high >= size:
        name = c.between(name, x.fits_float, 0, size - 1)
    return c.cast(name, False) if x.fits_float else name
