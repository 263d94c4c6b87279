"""cvm_clip, cvm_right_shift, cvm_left_shift: back to a given precision, symmetric about zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import require, within
from cvm.ops.base import MAX_PRECISION, Array, Monotone, Range, Shape, limit


@dataclass(frozen=True)
class CVMClipAttributes:
    """Attributes of cvm_clip; `is_sign` is accepted and ignored."""

    precision: int
    is_sign: bool = True

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        within("precision", self.precision, 1, MAX_PRECISION)


class CVMClip(Monotone[CVMClipAttributes]):
    """x limited to +-(2^(precision-1) - 1)."""

    name = "cvm_clip"
    in_place = True
    attributes = CVMClipAttributes

    def _precision(self, a: CVMClipAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [a.precision]

    def _map(self, a: CVMClipAttributes, x: Array) -> Array:
        return _clip(x, a.precision)


@dataclass(frozen=True)
class ShiftAttributes:
    """Attributes of the shifts; `is_sign` is accepted and ignored."""

    precision: int
    shift_bit: int
    is_sign: bool = True

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        within("precision", self.precision, 1, MAX_PRECISION)
        within("shift_bit", self.shift_bit, 1, 32)


class CVMRightShift(Monotone[ShiftAttributes]):
    """clip(((x >> (s-1)) + 1) >> 1, +-(2^(p-1) - 1)): x / 2^s rounded half up.

    Evaluated as (t >> 1) + (t & 1) with t = x >> (s-1), the same value without the carry that would
    leave int32 for x = 2^31 - 1, s = 1.
    """

    name = "cvm_right_shift"
    in_place = True
    attributes = ShiftAttributes

    def _precision(self, a: ShiftAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [a.precision]

    def _bound(self, a: ShiftAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        return max(ranges[0].magnitude(), (ranges[0].max() >> (a.shift_bit - 1)) + 1)

    def _map(self, a: ShiftAttributes, x: Array) -> Array:
        kind = x.dtype.type
        half = np.right_shift(x, kind(a.shift_bit - 1))
        return _clip((half >> kind(1)) + (half & kind(1)), a.precision)


class CVMLeftShift(Monotone[ShiftAttributes]):
    """clip(x << s, +-(2^(p-1) - 1))."""

    name = "cvm_left_shift"
    in_place = True
    attributes = ShiftAttributes

    def _precision(self, a: ShiftAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        require(
            precisions[0] + a.shift_bit <= MAX_PRECISION,
            f"input precision {precisions[0]} + shift_bit {a.shift_bit} exceeds {MAX_PRECISION}",
        )
        return [a.precision]

    def _bound(self, a: ShiftAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        return ranges[0].magnitude() << a.shift_bit

    def _map(self, a: ShiftAttributes, x: Array) -> Array:
        return _clip(x.astype(np.int64) << a.shift_bit, a.precision).astype(x.dtype)


def _clip(x: Array, precision: int) -> Array:
    high = x.dtype.type(limit(precision))
    return np.clip(x, -high, high)
