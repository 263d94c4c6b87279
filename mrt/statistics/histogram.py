"""A histogram that needs to know no range in advance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrt.graph import Array

BINS = 2048
_SAMPLES = 2**18


@dataclass(frozen=True)
class Histogram:
    """Counts over [-reach, reach) in `BINS` equal bins; reach is a power of two, so two histograms merge exactly.

    Exact zeros, which quantization never changes, are left out.
    """

    reach: float
    counts: Array

    @classmethod
    def of(cls, flat: Array) -> Histogram:
        """The histogram of a one-dimensional array; of a large one, of an evenly spaced part of it."""
        part = flat[:: max(1, flat.size // _SAMPLES)]
        part = part[part != 0]
        largest = float(np.max(np.abs(part))) if part.size else 1.0
        reach = math.ldexp(1.0, math.frexp(max(largest, 1e-30))[1])
        index = ((part + np.float32(reach)) * np.float32(BINS / (2 * reach))).astype(np.int32)
        return cls(reach, np.bincount(np.clip(index, 0, BINS - 1), minlength=BINS))

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both samples together, over the wider range."""
        reach = max(self.reach, other.reach)
        return Histogram(reach, self.over(reach) + other.over(reach))

    def over(self, reach: float) -> Array:
        """The counts over [-reach, reach), for a reach that is this one's times a power of two."""
        counts = self.counts
        factor = int(reach / self.reach)
        while factor > 1:
            shrunk = counts.reshape(-1, 2).sum(axis=1)
            counts = np.zeros_like(counts)
            counts[BINS // 4 : BINS // 4 + BINS // 2] = shrunk
            factor //= 2
        return counts

    @property
    def centers(self) -> Array:
        """The middle of each bin."""
        return (np.arange(BINS) + 0.5) * (2 * self.reach / BINS) - self.reach

    def to_json(self) -> dict[str, Any]:
        """A JSON object; runs of empty bins at the ends are left out."""
        (filled,) = np.nonzero(self.counts)
        first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
        return {"reach": self.reach, "first": first, "counts": self.counts[first:last].tolist()}

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Histogram:
        """What `to_json` wrote."""
        counts = np.zeros(BINS, dtype=np.int64)
        counts[item["first"] : item["first"] + len(item["counts"])] = item["counts"]
        return cls(float(item["reach"]), counts)
