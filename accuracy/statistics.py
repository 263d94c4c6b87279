"""Estimates with 95 % confidence intervals, from what was found on the same pictures (paired)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

Flags = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]

CONFIDENCE = 0.95
_RESAMPLES = 2000
_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval."""

    value: float
    low: float
    high: float


def share(hits: Flags) -> Estimate:
    """How often something happens, 0 to 1; the exact interval of Clopper and Pearson (1934)."""
    interval = stats.binomtest(int(hits.sum()), hits.size).proportion_ci(CONFIDENCE, "exact")
    return Estimate(float(hits.mean()), float(interval.low), float(interval.high))


def difference(one: Flags, other: Flags) -> Estimate:
    """How much more often one thing happens than another on the same pictures, -1 to 1.

    The score interval of Tango (Statistics in Medicine 17, 1998): it holds zero exactly where McNemar's test finds no
    difference, and is not empty where the two never differ.
    """
    count = one.size
    gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
    value = (gained - lost) / count

    def limit(end: float, z: float) -> float:
        def distance(delta: float) -> float:
            return _score(gained, lost, count, delta) - z

        return end if abs(value - end) < 1e-12 else float(optimize.brentq(distance, *sorted((end, value))))

    return Estimate(value, limit(-1.0, _Z), limit(1.0, -_Z))


def _score(gained: int, lost: int, count: int, delta: float) -> float:
    """How many standard deviations the difference found is above `delta`, were that the true one."""
    excess = gained - lost - count * delta
    a = 2 * count
    b = (2 * count - gained + lost) * delta - gained - lost
    c = -lost * delta * (1 - delta)
    share_lost = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)  # the most likely one, given delta
    variance = count * (2 * share_lost + delta * (1 - delta))
    if variance > 0:
        return excess / math.sqrt(variance)
    return math.copysign(math.inf, excess) if excess else 0.0


def sqnr(reference: Array, outputs: Array) -> Estimate:
    """Signal-to-quantization-noise ratio in dB: 10·log10(Σ reference² / Σ (reference - outputs)²).

    The interval is that of the bootstrap over pictures (percentiles, seeded).

    Args:
        reference: the float network's outputs (pictures, classes).
        outputs: those of an integer network, of the same shape.
    """
    return _bootstrap(_decibels, _energy(reference), _energy(reference - outputs))


def sqnr_gain(reference: Array, one: Array, other: Array) -> Estimate:
    """How many dB one network's SQNR is above another's, resampling the same pictures for both; see `sqnr`."""
    return _bootstrap(_decibels, _energy(reference - other), _energy(reference - one))


def _energy(values: Array) -> Array:
    """Sum of squares of each picture."""
    energy: Array = np.square(values, dtype=np.float64).sum(axis=1)
    return energy


def _decibels(above: Array, below: Array, axis: int = -1) -> Array:
    ratio: Array = 10 * np.log10(above.sum(axis=axis) / below.sum(axis=axis))
    return ratio


def _bootstrap(statistic: Callable[..., Array], *samples: Array) -> Estimate:
    found = stats.bootstrap(
        samples,
        statistic,
        paired=True,
        n_resamples=_RESAMPLES,
        batch=100,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    interval = found.confidence_interval
    return Estimate(float(statistic(*samples)), float(interval.low), float(interval.high))
