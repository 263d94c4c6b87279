"""Sixteen bits where the target's convolution and dense take eight: v = 256 high + low, two 8-bit limbs.

    sum v w = 256 sum high w + sum low w

so a layer whose input, or whose weights, need more than 8 bits is computed once per limb. Where both do, the product
of the two low limbs is left out: it is 2^-16 of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import numpy as np

from mrt.graph import Array
from mrt.integer.builder import IntegerBuilder
from mrt.integer.qvalue import IntValue

LIMB_BITS = 8
WIDE_LIMIT = 127 * 2**LIMB_BITS + 127  # the largest magnitude that two limbs of -127..127 reach
ADDABLE_BITS = 31  # the sum of two such fits in 32

Product = Callable[[IntValue, IntValue], IntValue]


def limbs(builder: IntegerBuilder, x: IntValue) -> tuple[IntValue, ...]:
    """A tensor of at most 16 bits as one or two of 8; it saturates at `WIDE_LIMIT`, and -128 in a low limb at -127."""
    if x.precision <= LIMB_BITS:
        return (x,)
    high = builder.emit("cvm_right_shift", [x], {"precision": LIMB_BITS, "shift_bit": LIMB_BITS})
    return high, builder.fit(builder.emit("elemwise_sub", [x, builder.double(high, LIMB_BITS)]), LIMB_BITS)


def constant_limbs(builder: IntegerBuilder, weight: Array) -> tuple[IntValue, ...]:
    """Integer weights of at most `WIDE_LIMIT` as one or two 8-bit constants."""
    if np.abs(weight).max() <= 127:
        return (builder.param(weight, LIMB_BITS),)
    high = np.floor_divide(weight + 2 ** (LIMB_BITS - 1), 2**LIMB_BITS)
    low = np.clip(weight - high * 2**LIMB_BITS, -127, 127)
    return builder.param(high, LIMB_BITS), builder.param(low, LIMB_BITS)


def accumulate(
    builder: IntegerBuilder, xs: Sequence[IntValue], weights: Sequence[IntValue], dropped: int, product: Product
) -> IntValue:
    """The sum of the products of all limbs, without its `dropped` lowest bits (rounded half up).

    Args:
        builder: emits.
        xs: limbs of the input, high first.
        weights: limbs of the weights, high first.
        dropped: 0 where both have one limb, 0 to `LIMB_BITS` where one has two, and `LIMB_BITS` more where both have.
        product: emits the layer for two limbs.
    """
    high = product(xs[0], weights[0])
    low = [product(x, weights[0]) for x in xs[1:]] + [product(xs[0], weight) for weight in weights[1:]]
    if not low:
        return high
    total = low[0]
    if len(low) > 1:
        total = builder.emit("elemwise_add", low)
        dropped -= LIMB_BITS
    if dropped:
        total = builder.emit("cvm_right_shift", [total], {"precision": total.precision, "shift_bit": dropped})
    high = builder.fit(high, high.bits)
    if dropped < LIMB_BITS:
        high = builder.double(high, LIMB_BITS - dropped)
    return builder.emit("elemwise_add", [high, builder.fit(total, min(total.precision, ADDABLE_BITS))])
