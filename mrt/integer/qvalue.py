"""What an integer stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import sympy
from cvm.ops.base import Range
from cvm.quantization import dequantize

from mrt.graph import Array, Shape, Value
from mrt.integer.pixels import PerChannel


@dataclass(frozen=True)
class IntValue:
    """A value of the integer graph with what is known of it.

    Attributes:
        value: the node output.
        shape: its shape at batch 1.
        precision: what the target infers for it, 1..32: |v| <= 2^(precision-1) - 1.
        range: proven bounds for any legal input.
    """

    value: Value
    shape: Shape
    precision: int
    range: Range

    @property
    def bits(self) -> int:
        """The precision that the proven range needs; at most `precision`."""
        return min(self.precision, self.range.bits())


@dataclass(frozen=True)
class QValue:
    """An integer tensor q that stands for the real tensor scale * (q + offset).

    The scale is an exact rational. A non-zero offset puts a one-sided real range, such as what a ReLU leaves, on the
    whole of -127..127: the bit that a signed 8-bit input would waste is won back.

    Pixels that only convolutions read mean something else in each channel: then `per_channel` says what, the scale is 1
    and the offset 0.
    """

    tensor: IntValue
    scale: sympy.Rational
    offset: int = 0
    per_channel: PerChannel | None = None

    def real(self, integers: Array) -> Array:
        """What its integers, (N, C, ...), stand for, in float64."""
        if self.per_channel is None:
            return dequantize(integers, float(self.scale), self.offset)
        gain, zero = self.per_channel.along(integers.ndim)
        return dequantize(integers, gain, 0, zero)

    def unrounded(self, real: Array) -> Array:
        """Where real numbers lie among the integers, in float64: neither rounded nor saturated."""
        if self.per_channel is None:
            return real.astype(np.float64) / float(self.scale) - self.offset
        gain, zero = self.per_channel.along(real.ndim)
        return real.astype(np.float64) / gain + zero

    @property
    def reach(self) -> int:
        """The largest magnitude of q + offset, or, of pixels, of q - zero."""
        low, high = int(self.tensor.range.min()), int(self.tensor.range.max())
        zeros = self.per_channel.zeros if self.per_channel else (-self.offset,)
        return math.ceil(max(max(abs(low - zero), abs(high - zero)) for zero in zeros))

    @property
    def lower(self) -> sympy.Rational:
        """The proven smallest real value."""
        return self.scale * (self.tensor.range.min() + self.offset)

    @property
    def upper(self) -> sympy.Rational:
        """The proven largest real value."""
        return self.scale * (self.tensor.range.max() + self.offset)


@dataclass(frozen=True)
class Target:
    """The integer form in which a tensor is wanted: real = scale * (q + offset), |q| <= 2^(precision-1) - 1."""

    scale: sympy.Rational
    offset: int
    precision: int

    @classmethod
    def symmetric(cls, largest: float, precision: int) -> Target:
        """The form without offset in which +-largest just fits."""
        return cls(exact(max(largest, 1e-6) / (2 ** (precision - 1) - 1)), 0, precision)

    def no_finer_than(self, step: float) -> Target:
        """This form; or where its scale is below `step`, one with that scale and no offset.

        A tensor that is nearly zero on all calibration data gets a scale so fine that what is computed into it takes
        multipliers beyond 32 bits, only to saturate.
        """
        return self if self.scale >= step else Target(exact(step), 0, self.precision)

    @property
    def limit(self) -> int:
        """The largest |q|."""
        return int(2 ** (self.precision - 1) - 1)


def exact(value: float) -> sympy.Rational:
    """A positive float as a rational with a 24-bit numerator: exact, and small enough to print."""
    fraction, exponent = math.frexp(value)
    return sympy.Rational(round(fraction * 2**24)) * sympy.Integer(2) ** (exponent - 24)
