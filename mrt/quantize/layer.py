"""Quantizes the weights of convolution and dense layers so that requantization is exact.

Let x = Sx (qx + ox) be the input, y = Sy (qy + oy) the stored output, and w_c = Sw_c qw the weights of output channel
c. The accumulator a = sum (qx + ox) qw has the scale Sx Sw_c, so storing it takes the multiplier Sx Sw_c / Sy. Instead
of rounding this multiplier, choose

    Sw_c = m_c 2^-s Sy / Sx,    m_c the smallest integer with 127 Sw_c >= max |w_c|,

with one shift s for the layer. Then qy = (m_c a + B_c) >> s with B_c = (bias_c / Sy - oy) 2^s, and the shift's rounding
is the only one left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrt.graph import Array
from mrt.quantize.qvalue import QValue, Target

_WEIGHT_LIMIT = 127
_PREFERRED_BITS = 12
_MIN_BITS = 6
_PRODUCT_BITS = 31  # one of the 32 is left for adding B
_SLACK = 1e-9


@dataclass(frozen=True)
class QuantizedLayer:
    """One layer in integers: qy = (multiplier * sum((qx + ox) * weight) + addend) >> shift.

    Shapes: weight (O, …) as given, multiplier (O,), addend (O,).
    """

    weight: Array
    multiplier: Array
    addend: Array
    shift: int


def quantize_layer(weight: Array, bias: Array | None, x: QValue, target: Target) -> QuantizedLayer:
    """Integer weights for a float layer.

    Args:
        weight: (O, …) float weights.
        bias: (O,) float bias or None.
        x: the quantized input.
        target: the form of the stored output.
    """
    channels = len(weight)
    flat = weight.reshape(channels, -1).astype(np.float64)
    constant = (np.zeros(channels) if bias is None else bias.astype(np.float64)) / float(target.scale) - target.offset
    rescale = float(x.scale) / float(target.scale)
    ideal = np.maximum(np.max(np.abs(flat), axis=1), 1e-30) / _WEIGHT_LIMIT
    reach = max(abs(x.tensor.range.min() + x.offset), abs(x.tensor.range.max() + x.offset), 1)
    accumulator_bits = int(np.max(np.sum(np.abs(np.rint(flat / ideal[:, None])), axis=1)) * reach).bit_length() + 1
    bits = max(_MIN_BITS, min(_PREFERRED_BITS, _PRODUCT_BITS - accumulator_bits))
    shift = _largest_shift(2 ** (bits - 1) - 1, float(np.max(ideal)) * rescale)
    shift = max(1, min(shift, 30, _largest_shift(2 ** (_PRODUCT_BITS - 1) - 1, float(np.max(np.abs(constant))) + 1)))
    multiplier = np.maximum(1, np.ceil(ideal * rescale * 2.0**shift * (1 - _SLACK))).astype(np.int64)
    scale = multiplier * 2.0**-shift / rescale
    quantized = np.clip(np.rint(flat / scale[:, None]), -_WEIGHT_LIMIT, _WEIGHT_LIMIT).astype(np.int64)
    addend = np.rint(constant * 2.0**shift).astype(np.int64)
    return QuantizedLayer(quantized.reshape(weight.shape), multiplier, addend, shift)


def _largest_shift(limit: int, value: float) -> int:
    """The largest s with value * 2^s <= limit."""
    return int(np.floor(np.log2(limit / value)))
