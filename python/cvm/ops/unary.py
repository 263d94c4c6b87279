"""relu, abs, negative, cvm_precision, clip: elementwise functions of one tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import MAX_INT, NoAttributes, require, within
from cvm.ops.base import Array, Monotone, Range, Shape, Unary


class Relu(Monotone[NoAttributes]):
    """max(x, 0)."""

    name = "relu"
    in_place = True
    attributes = NoAttributes

    def _map(self, a: NoAttributes, x: Array) -> Array:
        return np.maximum(x, x.dtype.type(0))


class Abs(Unary[NoAttributes]):
    """|x|."""

    name = "abs"
    in_place = True
    attributes = NoAttributes

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [_absolute(ranges[0])]

    def _formal(self, a: NoAttributes, inputs: list[Array]) -> list[Array]:
        return [np.abs(inputs[0])]


class Negative(Unary[NoAttributes]):
    """-x."""

    name = "negative"
    attributes = NoAttributes

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [Range(-ranges[0].hi, -ranges[0].lo)]

    def _formal(self, a: NoAttributes, inputs: list[Array]) -> list[Array]:
        return [-inputs[0]]


class CVMPrecision(Unary[NoAttributes]):
    """Number of bits of each value: the smallest i >= 1 with |x| < 2^i."""

    name = "cvm_precision"
    in_place = True
    attributes = NoAttributes

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [6]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        magnitude = _absolute(ranges[0])
        return [Range(_bit_length(magnitude.lo), _bit_length(magnitude.hi))]

    def _formal(self, a: NoAttributes, inputs: list[Array]) -> list[Array]:
        return [_bit_length(np.abs(inputs[0].astype(np.int64))).astype(np.int32)]


@dataclass(frozen=True)
class ClipAttributes:
    """Attributes of clip."""

    a_min: int
    a_max: int

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        within("a_min", self.a_min, -MAX_INT, MAX_INT)
        within("a_max", self.a_max, -MAX_INT, MAX_INT)
        require(self.a_min < self.a_max, f"a_min {self.a_min} must be less than a_max {self.a_max}")


class Clip(Monotone[ClipAttributes]):
    """x limited to [a_min, a_max].

    The target infers one bit more than needed where max|a| + 1 is a power of two (clip to 127 gives precision 9).
    """

    name = "clip"
    in_place = True
    attributes = ClipAttributes

    def _precision(self, a: ClipAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [(max(abs(a.a_min), abs(a.a_max)) + 1).bit_length() + 1]

    def _map(self, a: ClipAttributes, x: Array) -> Array:
        return np.clip(x, x.dtype.type(a.a_min), x.dtype.type(a.a_max))


def _absolute(x: Range) -> Range:
    lo, hi = np.abs(x.lo), np.abs(x.hi)
    crosses = (x.lo <= 0) & (x.hi >= 0)
    return Range(np.where(crosses, 0, np.minimum(lo, hi)), np.maximum(lo, hi))


def _bit_length(magnitude: Array) -> Array:
    """bit_length of non-negative int64 below 2^53, at least 1; frexp's exponent is exactly that."""
    _, exponent = np.frexp(magnitude.astype(np.float64))
    return np.maximum(exponent, 1).astype(np.int64)
