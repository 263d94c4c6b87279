"""What calibration knows of each tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrt.atomic import atomic_write
from mrt.errors import MRTError, Remedy
from mrt.graph import Array
from mrt.statistics.histogram import Histogram


@dataclass(frozen=True)
class Statistics:
    """Streaming moments of one tensor over the calibration pictures."""

    minimum: float
    maximum: float
    mean: float
    std: float
    count: int
    histogram: Histogram

    @classmethod
    def of(cls, array: Array) -> Statistics:
        """The statistics of one array."""
        flat = array.reshape(-1)
        mean = float(flat.mean())
        variance = float(np.square(flat).sum(dtype=np.float64)) / flat.size - mean**2
        std = math.sqrt(max(variance, 0.0))
        return cls(float(flat.min()), float(flat.max()), mean, std, flat.size, Histogram.of(flat))

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of both samples together (Chan et al.'s parallel variance)."""
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * other.count / count
        squares = self.std**2 * self.count + other.std**2 * other.count + delta**2 * self.count * other.count / count
        return Statistics(
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            mean,
            math.sqrt(squares / count),
            count,
            self.histogram.merge(other.histogram),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**vars(self), "histogram": self.histogram.to_json()}

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Statistics:
        """What `to_json` wrote."""
        return cls(**{**item, "histogram": Histogram.from_json(item["histogram"])})

    def threshold(self, lambda_: float | None = None) -> float:
        """The magnitude to represent: abs-max, or |mean| + lambda * std where that is smaller."""
        largest = max(abs(self.minimum), abs(self.maximum))
        return largest if lambda_ is None else min(largest, abs(self.mean) + lambda_ * self.std)


def save(path: Path, statistics: Mapping[str, Statistics]) -> None:
    """Write the statistics as JSON, whole or not at all."""
    atomic_write(path, json.dumps({name: item.to_json() for name, item in statistics.items()}))


def load(path: Path) -> dict[str, Statistics]:
    """Read what `save` wrote.

    Raises:
        MRTError: the file is missing or damaged.
    """
    try:
        return {name: Statistics.from_json(item) for name, item in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        raise MRTError(f"{path}: no such checkpoint", Remedy.CALIBRATE_AGAIN) from None
    except (ValueError, TypeError, KeyError, AttributeError, OSError):
        raise MRTError(f"{path}: damaged checkpoint", Remedy.CALIBRATE_AGAIN) from None
