"""The index of the largest integer along the channels, which the target has no operator for."""

from __future__ import annotations

import numpy as np

from mrt.integer.builder import INT32_BITS, IntegerBuilder
from mrt.integer.qvalue import IntValue

_AXIS = 1
_CARRIES = 3  # bits: what three sums add at most
_SIGN_BITS = 2  # bits of -1 and 0


def first_largest(builder: IntegerBuilder, scores: IntValue) -> IntValue:
    """For each place of (N, C, ...), the first channel of the largest score, as argmax has it: (N, 1, ...).

    Score s of channel c of C is the key s * 2^b + (C - 1 - c), 2^b being C or more. Of these the largest is that of the
    largest score, and among equal ones of the first channel, which its last b bits say: key - floor(key / 2^b) * 2^b.
    Where 32 bits do not hold that, a score less the largest one, cut to -1 and 0, stands for the score.
    """
    channels = scores.shape[_AXIS]
    bits = max(1, (channels - 1).bit_length())
    if scores.precision + bits + _CARRIES > INT32_BITS:
        scores = builder.fit(scores, INT32_BITS - 1)
        scores = builder.fit(builder.emit("broadcast_sub", [scores, _largest(builder, scores)]), _SIGN_BITS)
    places = np.arange(channels - 1, -1, -1).reshape((1, -1) + (1,) * (len(scores.shape) - 2))
    keys = builder.emit("broadcast_add", [builder.double(scores, bits), builder.param(places)])
    best = _largest(builder, keys)
    below = builder.emit("broadcast_sub", [best, builder.scalar(2 ** (bits - 1))])  # the shift rounds halves up
    floor = builder.emit("cvm_right_shift", [below], {"precision": scores.precision + 2, "shift_bit": bits})
    place = builder.emit("broadcast_sub", [best, builder.double(floor, bits)])
    last = builder.scalar(channels - 1)
    return builder.fit(builder.emit("broadcast_sub", [last, builder.fit(place, last.precision)]), last.precision)


def _largest(builder: IntegerBuilder, scores: IntValue) -> IntValue:
    return builder.emit("max", [scores], {"axis": (_AXIS,), "keepdims": True})
