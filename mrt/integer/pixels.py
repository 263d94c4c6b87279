"""A network's input as the bytes of pictures: whole numbers of 0..255, which mean, deviation and scale make real input.

A picture then enters the integer network without rounding: what the bytes are divided by folds into the weights of the
layers that read them, and what is taken off them into these layers' biases and borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from mrt.graph import Array

LARGEST = 255


@dataclass(frozen=True)
class Pixels:
    """Real input of channel c = steps[c] * (pixel - zeros[c]); one of each where all channels are alike.

    Attributes:
        steps: above 0.
        zeros: the pixels that stand for 0.
        offset: pixel = integer + offset. The target's 8 bits are -127..127: of 256 pixels, one at an end saturates.
    """

    steps: tuple[sympy.Rational, ...]
    zeros: tuple[sympy.Rational, ...]
    offset: int = LARGEST // 2

    @classmethod
    def normalised(cls, mean: Sequence[float], std: Sequence[float], scale: float) -> Pixels:
        """Of `(pixel / scale - mean) / std`, with the numbers as they are written."""
        factor = _written(scale)
        steps = tuple(1 / (factor * _written(number)) for number in std)
        zeros = tuple(factor * _written(number) for number in mean)
        return cls(steps[:1], zeros[:1]) if len({*steps}) == len({*zeros}) == 1 else cls(steps, zeros)

    @property
    def alike(self) -> bool:
        """Whether all channels have one step, and one zero that is a pixel."""
        return len(self.steps) == len(self.zeros) == 1 and bool(self.zeros[0].is_integer)

    def of(self, real: Array) -> Array:
        """The pixels, in float64, that real input (N, C, ...) is made of."""
        step, zero = self.along(real.ndim)
        pixels: Array = np.asarray(real, np.float64) / step + zero
        return pixels

    def real(self, pixels: Array) -> Array:
        """The real input, float32, that pixels (N, C, ...) make."""
        step, zero = self.along(pixels.ndim)
        return ((pixels - zero) * step).astype(np.float32)

    def along(self, rank: int) -> tuple[Array, Array]:
        """Steps and zeros, shaped to broadcast along the channels of so many axes."""
        shape = (1, -1) + (1,) * (rank - 2)
        step, zero = (np.array([float(number) for number in each]) for each in (self.steps, self.zeros))
        return step.reshape(shape), zero.reshape(shape)


@dataclass(frozen=True)
class PerChannel:
    """What the integers of a tensor of pixels stand for: gains[c] * (q - zeros[c]) in channel c."""

    gains: tuple[float, ...]
    zeros: tuple[float, ...]

    @classmethod
    def of(cls, pixels: Pixels, channels: int) -> PerChannel:
        """Of a network's input of so many channels."""
        gains = np.broadcast_to([float(step) for step in pixels.steps], channels)
        zeros = np.broadcast_to([float(zero) - pixels.offset for zero in pixels.zeros], channels)
        return cls(tuple(gains.tolist()), tuple(zeros.tolist()))

    def affine(self, factor: Array, addend: Array) -> PerChannel:
        """Of the same integers, once the real numbers are multiplied with a factor (not 0) and added to, by channel."""
        gains = np.multiply(self.gains, factor)
        return PerChannel(tuple(gains.tolist()), tuple((np.array(self.zeros) - addend / gains).tolist()))

    def along(self, rank: int) -> tuple[Array, Array]:
        """Gains and zeros, shaped to broadcast along axis 1 of so many."""
        shape = (1, -1) + (1,) * (rank - 2)
        return np.reshape(self.gains, shape), np.reshape(self.zeros, shape)

    def by_weight(self, weight: Array, groups: int) -> Array:
        """The gain of the channel that each of the weights (O, I, ...) of a convolution is multiplied with: (O, I)."""
        parts = np.reshape(self.gains, (groups, -1))
        return np.repeat(parts, len(weight) // groups, axis=0)


def _written(number: float) -> sympy.Rational:
    return sympy.Rational(repr(float(number)))
