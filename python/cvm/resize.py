"""Resizing 8-bit pictures, pixel for pixel as OpenCV does, so that a model sees what it was calibrated on.

Pillow's filters of the same names widen with the reduction and give other pixels. The rules are those of OpenCV's
modules/imgproc/src/resize.cpp: coordinates and weights in single precision; bilinear and cubic weights as integers of
11 bits, applied along rows, then along columns; area as weighted sums in single precision.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from cvm.errors import CVMError
from cvm.ops.base import Array

_BITS = 11
_UNIT = 1 << _BITS

BILINEAR, BY_SIZE = "bilinear", "by_size"
INTERPOLATIONS = (BILINEAR, BY_SIZE)
"""`by_size`: area where both sides shrink, cubic where both grow, else bilinear."""


def resize(picture: Array, height: int, width: int, interpolation: str = BILINEAR) -> Array:
    """A picture (H, W, C) of uint8 brought to (height, width, C)."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or 0 in picture.shape:
        raise CVMError(
            f"a picture of shape {picture.shape} and type {picture.dtype} cannot be resized, only (H, W, C) bytes"
        )
    before, after = picture.shape[:2], (height, width)
    if before == after:
        return picture
    shrinks = all(new < old for old, new in zip(before, after))
    if interpolation == BILINEAR:
        halved = before == (2 * height, 2 * width)  # there OpenCV takes means of four
        return _area(picture, height, width) if halved else _weighted(picture, height, width, _linear)
    if interpolation != BY_SIZE:
        raise CVMError(f"unknown interpolation {interpolation!r}; there are {', '.join(INTERPOLATIONS)}")
    if shrinks:
        return _area(picture, height, width)
    grows = all(new > old for old, new in zip(before, after))
    return _weighted(picture, height, width, _cubic if grows else _linear)


def _linear(fraction: Array) -> Array:
    return np.stack([1 - fraction, fraction])


def _cubic(fraction: Array) -> Array:
    """Weights of four neighbours, A = -0.75."""
    x, a, one = fraction, np.float32(-0.75), np.float32(1)
    first = ((a * (x + one) - 5 * a) * (x + one) + 8 * a) * (x + one) - 4 * a
    second = ((a + 2) * x - (a + 3)) * x * x + one
    third = ((a + 2) * (one - x) - (a + 3)) * (one - x) * (one - x) + one
    return np.stack([first, second, third, one - first - second - third])


def _weighted(picture: Array, height: int, width: int, weights: Callable[[Array], Array]) -> Array:
    columns, across = _taps(picture.shape[1], width, weights, edges=weights is _linear)
    rows, down = _taps(picture.shape[0], height, weights)
    wide = picture.astype(np.int32)
    lines = sum(wide[:, column] * weight[:, None] for column, weight in zip(columns, across))
    parts = [lines[row].reshape(height, -1) for row in rows]
    join = _two_lines if len(rows) == 2 else _four_lines
    return np.clip(join(parts, down[:, :, None]), 0, 255).astype(np.uint8).reshape(height, width, -1)


def _two_lines(lines: list[Array], weights: Array) -> Array:
    """OpenCV keeps 16 bits of each line's product."""
    total: Array = sum(((line >> 4) * weight) >> 16 for line, weight in zip(lines, weights)) + 2
    return total >> 2


def _four_lines(lines: list[Array], weights: Array) -> Array:
    """OpenCV computes eight values at a time in single precision, in this order, and what is left in integers."""
    total = np.zeros_like(lines[0], np.float32)
    for line, weight in zip(lines, weights.astype(np.float32) * np.float32(1 / _UNIT**2)):
        total += line.astype(np.float32) * weight
    whole = (sum(line * weight for line, weight in zip(lines, weights)) + (1 << (2 * _BITS - 1))) >> (2 * _BITS)
    eights = total.shape[1] // 8 * 8
    return np.concatenate([np.rint(total[:, :eights]), whole[:, eights:]], axis=1)


def _taps(before: int, after: int, weights: Callable[[Array], Array], edges: bool = False) -> tuple[Array, Array]:
    """For each new place along an axis, the old places that it is made of, and their weights in 1/2048.

    With `edges`, a place beyond the outermost centres takes all of the outermost.
    """
    scale = 1.0 / (after / before)
    centre = ((np.arange(after) + 0.5) * scale - 0.5).astype(np.float32)
    base = np.floor(centre).astype(np.int64)
    fraction = (centre - base.astype(np.float32)).astype(np.float32)
    if edges:
        fraction = np.where((base < 0) | (base >= before - 1), np.float32(0), fraction)
        base = np.clip(base, 0, before - 1)
    table = weights(fraction).astype(np.float32)
    count = len(table)
    places = np.clip(base + np.arange(1 - count // 2, 1 + count // 2)[:, None], 0, before - 1)
    return places, np.rint(table * np.float32(_UNIT)).astype(np.int32)


def _area(picture: Array, height: int, width: int) -> Array:
    old_height, old_width, channels = picture.shape
    if old_height % height == 0 and old_width % width == 0:
        down, across = old_height // height, old_width // width
        sums = picture.reshape(height, down, width, across, channels).sum(axis=(1, 3), dtype=np.int64)
        if down == across == 2:
            means: Array = (sums + 2) >> 2
        else:
            means = np.rint(sums.astype(np.float32) * (np.float32(1) / np.float32(down * across)))
    else:
        lines = _sums(picture.astype(np.float32).transpose(1, 0, 2), width).transpose(1, 0, 2)
        means = np.rint(_sums(lines, height))
    return np.clip(means, 0, 255).astype(np.uint8)


def _sums(values: Array, after: int) -> Array:
    """Along axis 0, the mean of the part of it that each new place covers, summed in order in single precision."""
    before = len(values)
    scale = before / after
    result = np.zeros((after, *values.shape[1:]), np.float32)
    for place in range(after):
        begin, end = place * scale, min(place * scale + scale, before)
        cell = min(scale, before - begin)
        first, last = int(np.ceil(begin)), min(int(np.floor(end)), before - 1)
        first = min(first, last)
        if first - begin > 1e-3:
            result[place] += values[first - 1] * np.float32((first - begin) / cell)
        for whole in range(first, last):
            result[place] += values[whole] * np.float32(1.0 / cell)
        if end - last > 1e-3:
            result[place] += values[last] * np.float32(min(min(end - last, 1.0), cell) / cell)
    return result
