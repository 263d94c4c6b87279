"""Real numbers to integers and back: real = (integer + offset - zero) * scale, where zero is 0 but for pixels.

The one rounding of the target: to the nearest integer, halves up, saturating at +-(2^(precision-1) - 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cvm.errors import CVMError
from cvm.ops.base import Array, limit, stored_type


def quantize(values: ArrayLike, scale: float | Array, offset: int, precision: int, zero: float | Array = 0.0) -> Array:
    """Integers of real numbers, stored as the target stores them: int8 up to precision 8, else int32.

    `scale` and `zero` are numbers, or arrays that broadcast. Raises `CVMError` where a value is not a number.
    """
    return saturate(steps(values, scale, offset, zero), precision)


def steps(values: ArrayLike, scale: float | Array, offset: int, zero: float | Array = 0.0) -> Array:
    """floor(values / scale + zero + 0.5) - offset in float64: whole numbers, not yet saturated."""
    rounded: Array = np.floor(np.asarray(values, np.float64) / scale + zero + 0.5) - offset
    return rounded


def saturate(whole: Array, precision: int) -> Array:
    """Whole numbers, clipped to the precision and stored as the target stores them.

    Raises `CVMError` where one is not a number.
    """
    low, high = -limit(precision), limit(precision)
    if whole.dtype.kind == "f":
        if np.isnan(whole).any():
            raise CVMError("the values to quantize are not all numbers (NaN)")
    else:
        kind = np.iinfo(whole.dtype)  # whose own limits numpy would wrap the bounds into
        low, high = max(low, kind.min), min(high, kind.max)
    return np.clip(whole, low, high).astype(stored_type(precision))


def beyond(whole: Array, precision: int) -> int:
    """How many of the whole numbers the precision cannot hold, so that they saturate."""
    bound = limit(precision)
    return int(np.count_nonzero((whole > bound) | (whole < -bound)))


def dequantize(integers: ArrayLike, scale: float | Array, offset: int, zero: float | Array = 0.0) -> Array:
    """The real numbers, in float64, that integers stand for; `scale` and `zero` as in `quantize`."""
    values: Array = (np.asarray(integers, np.float64) + offset - zero) * scale
    return values
