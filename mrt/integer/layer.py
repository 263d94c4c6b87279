"""Quantizes the weights of convolution and dense layers so that requantization is exact.

Let x = Sx (qx + ox) be the input, y = Sy (qy + oy) the stored output, and w_c = Sw_c qw the weights of output channel
c. The accumulator a = sum (qx + ox) qw has the scale Sx Sw_c, so storing it takes the multiplier Sx Sw_c / Sy. Instead
of rounding this multiplier, choose

    Sw_c = m_c 2^-s Sy / Sx,    m_c one of the two integers that bring Sw_c nearest to the step wanted for the channel,

with one shift s for the layer. Then qy = (m_c a + B_c) >> s with B_c = (bias_c / Sy - oy) 2^s, and the shift's rounding
is the only one left.

A layer of which more than 8 bits are asked (`mrt.integer.limbs`) has an accumulator of which the lowest bits may have
to be dropped: a' = a 2^-d then takes the place of a, with the scale Sx Sw_c 2^d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mrt.graph import Array
from mrt.integer.limbs import LIMB_BITS, WIDE_LIMIT
from mrt.integer.qvalue import QValue, Target
from mrt.integer.rounding import NEAREST, Rounding, mean_error, round_weights
from mrt.integer.row_blocks import row_blocks
from mrt.statistics.moments import Moments

WEIGHT_LIMIT = 127
_PREFERRED_BITS = 12
_MIN_BITS = 6
_CLIP_FRACTIONS = np.linspace(0.75, 0.98, 12)
_COARSE, _COARSE_FRACTIONS = 31, np.linspace(0.25, 0.97, 25)  # with few levels, clipping more costs less
_GRID_LEVELS = 512
_GRID_SAMPLE = 2**16
_GRID_TOLERANCE = 0.02
_PRODUCT_BITS = 31  # one of the 32 is left for adding B


@dataclass(frozen=True)
class QuantizedLayer:
    """One layer in integers: qy = (multiplier * (sum((qx + ox) * weight) >> dropped) + addend) >> shift.

    Shapes: weight (O, …) as given, multiplier (O,), addend (O,).
    """

    weight: Array
    multiplier: Array
    addend: Array
    shift: int
    dropped: int = 0


def finest_step(weight: Array, bias: Array | None, x: QValue) -> float:
    """The smallest scale worth storing the output in: 1/16 of the accumulator's own, and one that holds the bias."""
    step = float(x.scale) * 2.0 ** (LIMB_BITS if x.tensor.precision > LIMB_BITS else 0)
    accumulator = step * float(np.max(np.abs(weight))) / WEIGHT_LIMIT
    return max(accumulator / 16, 0.0 if bias is None else float(np.max(np.abs(bias))) / 2.0 ** (_PRODUCT_BITS - 3))


def quantize_layer(
    weight: Array,
    bias: Array | None,
    x: QValue,
    target: Target,
    moments: Moments | None = None,
    wide_weight: bool = False,
    rounding: Rounding | None = None,
    bits: int = LIMB_BITS,
) -> QuantizedLayer:
    """Integer weights for a float layer.

    Args:
        weight: (O, …) float weights.
        bias: (O,) float bias or None.
        x: the quantized input.
        target: the form of the stored output.
        moments: of the layer's input, for rounding by effect; None rounds each weight to the nearest, and lets the
            bias be.
        wide_weight: 16-bit weights, rounded to the nearest, instead of 8-bit ones.
        rounding: how to round where moments are known.
        bits: of the weights, at most 8, where they are not wide.
    """
    rounding, limit = rounding or Rounding(), 2 ** (bits - 1) - 1
    channels = len(weight)
    flat = weight.reshape(channels, -1)
    constant = (np.zeros(channels) if bias is None else bias.astype(np.float64)) / float(target.scale) - target.offset
    ideal = _full_step(flat, WIDE_LIMIT) if wide_weight else weight_steps(flat, limit)
    reach = max(x.reach, 1)
    largest = max(np.abs(np.rint(flat[rows] / ideal[rows, None])).sum(axis=1).max() for rows in row_blocks(flat))
    accumulator_bits = int(largest * reach).bit_length() + 1
    wide = int(wide_weight) + int(x.tensor.precision > LIMB_BITS)
    needed = accumulator_bits + _PREFERRED_BITS - _PRODUCT_BITS
    dropped = min(max(needed, LIMB_BITS * (wide - 1), 0), LIMB_BITS * wide)
    accumulator_bits -= dropped
    rescale = float(x.scale) * 2.0**dropped / float(target.scale)
    bits = max(_MIN_BITS, min(_PREFERRED_BITS, _PRODUCT_BITS - accumulator_bits))
    shift = _largest_shift(2 ** (bits - 1) - 1, float(np.max(ideal)) * rescale)
    shift = max(1, min(shift, 30, _largest_shift(2 ** (_PRODUCT_BITS - 1) - 1, float(np.max(np.abs(constant))) + 1)))
    below, above = (np.maximum(1, nearest(ideal * rescale * 2.0**shift)) for nearest in (np.floor, np.ceil))
    unit = 2.0**-shift / rescale
    if wide_weight:
        multiplier = above
    else:
        multiplier = np.where(
            _rounding_error(flat, below * unit, limit) < _rounding_error(flat, above * unit, limit), below, above
        )
    scale = multiplier * unit
    multiplier = multiplier.astype(np.int64)
    if wide_weight:
        quantized = np.rint(flat / scale[:, None]).astype(np.int32)
    elif moments is None or rounding.mode == NEAREST:
        quantized = np.concatenate(
            [_rounded(flat[rows], scale[rows], limit).astype(np.int8) for rows in row_blocks(flat)]
        )
    else:
        quantized = round_weights(flat, scale, limit, moments, rounding.mode)
    if moments is not None and rounding.bias_correction and not wide_weight:
        constant = constant - mean_error(flat, quantized, scale, moments) / float(target.scale)
    addend = np.rint(constant * 2.0**shift).astype(np.int64)
    return QuantizedLayer(quantized.reshape(weight.shape), multiplier, addend, shift, dropped)


def weight_steps(flat: Array, limit: int = WEIGHT_LIMIT) -> Array:
    """The step wanted for each row of (O, K) float weights: the one with the least squared rounding error.

    Candidates are a range of steps that clip the largest weights more or less, and, for weights that were quantized
    before and so lie on a grid, that grid, which loses nothing.
    """
    full = _full_step(flat, limit)
    best: Array = full
    least = _rounding_error(flat, full, limit)
    grid = common_step(flat)
    fractions = _CLIP_FRACTIONS if limit > _COARSE else _COARSE_FRACTIONS
    candidates = [full * fraction for fraction in fractions] + ([np.full(len(flat), grid)] if grid else [])
    for candidate in candidates:
        error = _rounding_error(flat, candidate, limit)
        best = np.where(error < least, candidate, best)
        least = np.minimum(error, least)
    return best


def _full_step(flat: Array, limit: int) -> Array:
    step: Array = np.maximum(np.max(np.abs(flat), axis=1).astype(np.float64), 1e-30) / limit
    return step


def _rounding_error(flat: Array, step: Array, limit: int) -> Array:
    return np.concatenate(
        [np.sum((_rounded(flat[r], step[r], limit) * step[r, None] - flat[r]) ** 2, axis=1) for r in row_blocks(flat)]
    )


def _rounded(flat: Array, step: Array, limit: int) -> Array:
    rounded: Array = np.clip(np.rint(flat / step[:, None]), -limit, limit)
    return rounded


def common_step(values: Array) -> float | None:
    """The step of the grid on which all values lie, or None when they do not lie on one of a few hundred levels."""
    if len(np.unique(np.abs(values.reshape(-1)[:_GRID_SAMPLE]))) > _GRID_LEVELS:
        return None  # most weights are told by a few of them
    levels = np.unique(np.abs(values)).astype(np.float64)
    if not 2 < len(levels) <= _GRID_LEVELS:
        return None
    gaps = np.diff(levels)
    gaps = gaps[gaps > 1e-4 * levels[-1] / _GRID_LEVELS]
    if not len(gaps):
        return None
    step = float(np.min(gaps))
    for _ in range(3):  # refine from the smallest gap to the largest value, where the step is best determined
        multiples = np.rint(levels / step)
        step = float((multiples * levels).sum() / (multiples * multiples).sum())
    return step if np.max(np.abs(levels / step - np.rint(levels / step))) < _GRID_TOLERANCE else None


def _largest_shift(limit: int, value: float) -> int:
    """The largest s with value * 2^s <= limit."""
    return math.frexp(limit / value)[1] - 1
