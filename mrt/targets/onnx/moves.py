"""Operators that move values or choose them by others."""

from __future__ import annotations

from math import prod

import numpy as np
from cvm.errors import CVMError
from cvm.ops.base import MAX_DIM, Array

from mrt.targets.onnx.writer import BoundError, Call, Made, Tensor, size


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
    axes = c.operator.axes(c.attrs, len(x.dims))
    return _moved(c, c.op("Transpose", c.read(x, _kept(x)), perm=list(axes)))


def concatenate(c: Call) -> Made:
    """Inputs behind each other along an axis."""
    is_float = all(x.fits_float for x in c.inputs)
    axis = c.attrs.axis % len(c.dims[0])
    name = c.op("Concat", *(c.read(x, is_float) for x in c.inputs), axis=axis)
    return Made(name, is_float, max(x.reach for x in c.inputs))


def repeat(c: Call) -> Made:
    """Every entry of an axis several times."""
    (x,) = c.inputs
    axis = c.attrs.axis % len(x.dims)
    return _moved(c, c.columns(c.read(x, _kept(x)), _repeated(x.dims[axis], c.attrs.repeats), axis))


def upsampling(c: Call) -> Made:
    """Every pixel several times in both directions."""
    (x,) = c.inputs
    name = c.read(x, _kept(x))
    for axis in (2, 3):
        name = c.columns(name, _repeated(x.dims[axis], c.attrs.scale), axis)
    return _moved(c, name)


def _repeated(dim: int | str, times: int) -> Array:
    return np.repeat(np.arange(size(dim)), times)


def tile(c: Call) -> Made:
    """The whole several times along each axis."""
    (x,) = c.inputs
    rank = len(c.dims[0])
    name, more = c.read(x, _kept(x)), rank - len(x.dims)
    if more:
        name = c.reshape(name, (*[1] * more, *x.dims))
    for axis, times in enumerate(c.attrs.reps, rank - len(c.attrs.reps)):
        if times > 1:
            there = size(x.dims[axis - more]) if axis >= more else 1
            name = c.columns(name, np.tile(np.arange(there), times), axis)
    return _moved(c, name)


def part(c: Call) -> Made:
    """strided_slice, slice_like: a slice of each axis."""
    x = c.inputs[0]
    if any(isinstance(dim, str) for pair in zip(x.dims, c.dims[0]) for dim in pair if pair[0] != pair[1]):
        raise BoundError("it cuts the batch")
    shapes = [tuple(MAX_DIM if isinstance(dim, str) else dim for dim in each.dims) for each in c.inputs]
    try:
        index = c.operator.index(c.attrs, shapes)
    except CVMError as error:  # of the largest batch only
        raise BoundError(str(error)) from None
    cuts = []
    for axis, (cut, dim, most) in enumerate(zip(index, x.dims, shapes[0])):
        if (cut.start, cut.stop, cut.step or 1) != (0, most, 1):  # one that is whole for the largest is for all
            end = -size(dim) - 1 if cut.stop is None else min(cut.stop, size(dim))
            cuts.append((cut.start, end, axis, cut.step or 1))
    name = c.read(x, _kept(x))
    if cuts:
        name = c.op("Slice", name, *(c.index(column) for column in zip(*cuts)))
    return _moved(c, name)


def take(c: Call) -> Made:
    """Entries of an axis, or of all, by indices that are limited to it."""
    data, indices = c.inputs
    name = c.read(data, _kept(data))
    if c.attrs.axis is None:
        count = prod(map(size, data.dims))
        return _moved(c, c.op("Gather", c.reshape(name, (count,)), _limited(c, indices, count), axis=0))
    axis = c.attrs.axis % len(data.dims)
    return _moved(c, c.op("Gather", name, _limited(c, indices, size(data.dims[axis])), axis=axis))


def cvm_lut(c: Call) -> Made:
    """Entries of a table, by indices that are limited to it."""
    indices, table = c.inputs
    count = prod(map(size, table.dims))
    name = c.reshape(c.read(table, _kept(table)), (count,))
    return Made(c.op("Gather", name, _limited(c, indices, count), axis=0), _kept(table))


def _limited(c: Call, x: Tensor, count: int) -> str:
    """Indices in [0, count - 1], as integers."""
    if x.known is not None:
        return c.index(np.clip(x.known, 0, count - 1))
    name = c.read(x, x.fits_float)
    if x.low < 0 or x.high >= count:
        name = c.between(name, x.fits_float, 0, count - 1)
    return c.cast(name, False) if x.fits_float else name
