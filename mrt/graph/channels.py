"""Constants by channel (axis 1)."""

from __future__ import annotations

import numpy as np

from mrt.graph.ir import Array


def per_channel(constant: Array, channels: int, ndim: int) -> Array | None:
    """A constant as a vector over axis 1 of an `ndim`-dimensional tensor, or None if it varies along other axes."""
    if constant.ndim > ndim:
        return None
    shape = (1,) * (ndim - constant.ndim) + constant.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1) or shape[1] not in (1, channels):
        return None
    return np.broadcast_to(constant.reshape(shape[1]), (channels,))
