"""The integer forms that tensors can have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NARROW_BITS = 8
WIDE_BITS = 16


class Form(Enum):
    """The integer form in which an operator wants its inputs (`mrt.quantizer.annotate` propagates it)."""

    NARROW = "narrow"
    """At most 8 bits: what the target's convolution and dense take."""
    WIDE = "wide"
    """16 bits: sums, products, tables, the network's outputs."""
    SAME = "same"
    """Whatever form its output is wanted in: operators that only move values."""
    INDEX = "index"
    """Numbers of a table's rows, as they are: scale 1."""
    ANY = "any"
    """Whatever form the input happens to have."""


@dataclass(frozen=True)
class ExtraBits:
    """The layers, by name of the prepared network, that take 16 bits of their input, and those with 16-bit weights."""

    inputs: frozenset[str] = frozenset()
    weights: frozenset[str] = frozenset()

    def __or__(self, other: ExtraBits) -> ExtraBits:
        """What either has."""
        return ExtraBits(self.inputs | other.inputs, self.weights | other.weights)
