"""Channels (axis 1): constants by channel, and which channel each entry of a tensor belongs to."""

from __future__ import annotations

import numpy as np

from mrt.graph.ir import Array, Shape


def per_channel(constant: Array, channels: int, ndim: int) -> Array | None:
    """A constant as a vector over axis 1 of an `ndim`-dimensional tensor, or None if it varies along other axes."""
    if constant.ndim > ndim:
        return None
    shape = (1,) * (ndim - constant.ndim) + constant.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1) or shape[1] not in (1, channels):
        return None
    return np.broadcast_to(constant.reshape(shape[1]), (channels,))


def numbered(shape: Shape, first: int = 0) -> Array:
    """The numbers of a tensor's channels, as an array of the tensor's rank: (1, C, 1, …)."""
    return np.arange(first, first + shape[1], dtype=np.int32).reshape((1, -1) + (1,) * (len(shape) - 2))


def condensed(numbers: Array) -> Array:
    """The same with size 1 along the axes along which nothing changes."""
    for axis in range(numbers.ndim):
        first = numbers[(slice(None),) * axis + (slice(0, 1),)]
        if numbers.strides[axis] == 0 or (numbers == first).all():
            numbers = first
    return numbers


def along_channels(numbers: Array, shape: Shape) -> Array | None:
    """One number per channel, (C,), of a tensor of this shape, or None where they change along other axes."""
    if any(size != 1 for axis, size in enumerate(numbers.shape) if axis != 1):
        return None
    return np.broadcast_to(numbers.reshape(-1), (shape[1],))
