"""Ranges of sums of products, shared by conv2d and dense.

Weights are seen as (groups, outputs per group, inputs per group, taps); the input range as one interval per input.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cvm.ops.base import Array, Range

_BLOCK = 2**22  # weights looked at together: bounds the memory of the intermediates
_Shape4 = tuple[int, int, int, int]


def _weights(w: Range, shape: _Shape4) -> tuple[Array, Array]:
    """Weight bounds summed over nothing yet, in the four-axis view."""
    if w.lo.size == 1 and w.hi.size == 1:
        return np.broadcast_to(w.lo.reshape(()), shape), np.broadcast_to(w.hi.reshape(()), shape)
    return w.lo.reshape(shape), w.hi.reshape(shape)


def affine_range(x: Range, w: Range, shape: _Shape4, bias: Range | None) -> Range:
    """Proven interval of every output: sums of min(w*x) and max(w*x) over inputs and taps, plus the bias.

    `x` holds one interval per input (flat, groups*inputs), `w` a known or a uniform weight; the result is flat.
    """
    groups, outputs, inputs, _ = shape
    x_lo, x_hi = x.lo.reshape(groups, 1, inputs), x.hi.reshape(groups, 1, inputs)
    w_lo, w_hi = _weights(w, shape)
    known = w.lo is w.hi or np.array_equal(w.lo, w.hi)
    lo, hi = np.empty((groups, outputs), np.int64), np.empty((groups, outputs), np.int64)
    for rows in _blocks(shape):
        lo[:, rows], hi[:, rows] = _interval(w_lo[:, rows], w_hi[:, rows], x_lo, x_hi, known)
    lo, hi = lo.reshape(groups * outputs), hi.reshape(groups * outputs)
    return Range(lo, hi) if bias is None else Range(lo + bias.lo, hi + bias.hi)


def _interval(w_lo: Array, w_hi: Array, x_lo: Array, x_hi: Array, known: bool) -> tuple[Array, Array]:
    """`affine_range` of some outputs; `known` where both weight bounds are the same."""
    if known:
        positive, negative = np.maximum(w_lo, 0).sum(axis=3), np.minimum(w_lo, 0).sum(axis=3)
        lo, hi = positive * x_lo + negative * x_hi, positive * x_hi + negative * x_lo
        return lo.sum(axis=2), hi.sum(axis=2)
    corners = [a * b[..., None] for a in (w_lo, w_hi) for b in (x_lo, x_hi)]
    return np.minimum.reduce(corners).sum(axis=(2, 3)), np.maximum.reduce(corners).sum(axis=(2, 3))


def _blocks(shape: _Shape4) -> Iterator[slice]:
    """Runs of outputs whose weights, over all groups, are about `_BLOCK` in number."""
    groups, outputs, inputs, taps = shape
    step = max(1, _BLOCK // (groups * inputs * taps))
    return (slice(start, start + step) for start in range(0, outputs, step))


def affine_bound(x: Range, w: Range, shape: _Shape4, bias: Range | None) -> int:
    """Largest |partial sum| in any order: sum of max(|w*lo|, |w*hi|), plus |bias|, over the worst output."""
    groups, outputs, inputs, _ = shape
    x_abs = np.maximum(abs(x.lo), abs(x.hi)).reshape(groups, 1, inputs)
    w_lo, w_hi = _weights(w, shape)
    totals = np.empty((groups, outputs), np.int64)
    for rows in _blocks(shape):
        w_abs = np.maximum(abs(w_lo[:, rows]), abs(w_hi[:, rows])).sum(axis=3)
        totals[:, rows] = (w_abs * x_abs).sum(axis=2)
    total = totals.reshape(groups * outputs)
    return int((total if bias is None else total + np.maximum(abs(bias.lo), abs(bias.hi))).max())


def known_or_uniform(w: Range, shape: tuple[int, ...]) -> Range:
    """The range itself where it has full shape, else one interval for all."""
    return w if w.lo.shape == tuple(shape) and w.hi.shape == tuple(shape) else w.collapsed()
