"""Calibrators: from a tensor's statistics to the real range that its integers should cover.

All are functions of one signature, so that one can be chosen by name (`mrt.calibrate.coverage` does, per tensor). What
lies outside the range saturates; what lies inside is rounded to one of `levels` levels. The choice trades one error
for the other.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from mrt.errors import MRTError, Remedy
from mrt.graph import Array
from mrt.statistics.tensor import Statistics

Interval = tuple[float, float]
Calibrator = Callable[[Statistics, int], Interval]
"""Of a tensor's statistics and the number of levels; those that do not weigh rounding have no use for the latter."""

LAMBDA = "lambda"
AUTO = "auto"
LEVELS = 254
_SATURATION = 2.0
_FRACTIONS = np.concatenate([np.linspace(0.2, 0.96, 39), [1.0]])
_PERCENTILE = 99.99


def abs_max(statistics: Statistics, levels: int = LEVELS) -> Interval:
    """Everything seen."""
    return statistics.minimum, statistics.maximum


def percentile(statistics: Statistics, levels: int = LEVELS) -> Interval:
    """All but the outermost 0.01 % of the non-zero values."""
    histogram = statistics.histogram
    cumulative = np.cumsum(histogram.counts)
    if not cumulative[-1]:
        return abs_max(statistics)
    tail = cumulative[-1] * (1 - _PERCENTILE / 100)
    low = histogram.centers[np.searchsorted(cumulative, tail / 2)]
    high = histogram.centers[min(np.searchsorted(cumulative, cumulative[-1] - tail / 2), len(cumulative) - 1)]
    return max(statistics.minimum, min(low, 0.0)), min(statistics.maximum, max(high, 0.0))


def mse(statistics: Statistics, levels: int = LEVELS) -> Interval:
    """The range with the least squared error: step^2 / 12 for what is inside, the distance to the edge for the rest.

    The latter counts twice: what saturates errs in one direction, so in a layer's sums it does not average out as
    rounding does, and unseen pictures reach further than those of the calibration set.
    """

    def costs(counts: Array, centers: Array, low: Array, high: Array) -> Array:
        step = (high - low) / levels
        outside = np.clip(centers, low[:, None], high[:, None]) - centers
        inside = (outside == 0) * counts
        return np.asarray(_SATURATION * (counts * outside**2).sum(axis=1) + step**2 / 12 * inside.sum(axis=1))

    return _search(statistics, costs)


def entropy(statistics: Statistics, levels: int = LEVELS) -> Interval:
    """The range whose magnitude histogram of half the levels diverges least from the full one (Migacz, 2017)."""
    histogram = statistics.histogram
    half = len(histogram.counts) // 2
    magnitudes = histogram.counts[half:] + histogram.counts[:half][::-1]
    if magnitudes.sum() == 0:
        return abs_max(statistics)
    best, limit = np.inf, half
    kept = -(-levels // 16) * 8
    for stop in range(kept, half + 1, 8):
        divergence = _divergence(magnitudes.astype(np.float64), stop, kept)
        if divergence < best:
            best, limit = divergence, stop
    threshold = histogram.reach * limit / half
    return max(statistics.minimum, -threshold), min(statistics.maximum, threshold)


def mean_and_deviations(lambda_: float) -> Calibrator:
    """MRT's calibrator: magnitudes up to |mean| + lambda_ standard deviations, and no further than seen."""

    def calibrate(statistics: Statistics, levels: int = LEVELS) -> Interval:
        limit = statistics.threshold(lambda_)
        return max(statistics.minimum, -limit), min(statistics.maximum, limit)

    return calibrate


def _divergence(magnitudes: Array, stop: int, levels: int) -> float:
    reference = magnitudes[:stop].copy()
    reference[-1] += magnitudes[stop:].sum()
    group = np.arange(stop) * levels // stop
    inside = magnitudes[:stop]
    totals = np.bincount(group, weights=inside, minlength=levels)
    filled = np.bincount(group, weights=inside > 0, minlength=levels)
    spread = np.where(inside > 0, totals[group] / np.maximum(filled[group], 1), 0.0)
    p, q = reference / reference.sum(), spread / max(spread.sum(), 1e-30)
    mask = p > 0
    divergence = float(np.sum(p[mask] * np.log(p[mask] / np.maximum(q[mask], 1e-12))))
    return round(divergence, 9)  # processors differ in the last bits of a logarithm


def _search(statistics: Statistics, costs: Callable[[Array, Array, Array, Array], Array]) -> Interval:
    histogram = statistics.histogram
    filled = histogram.counts > 0
    if not filled.any():
        return abs_max(statistics)
    counts, centers = histogram.counts[filled].astype(np.float64), histogram.centers[filled]
    lows, highs = _FRACTIONS * min(statistics.minimum, 0.0), _FRACTIONS * max(statistics.maximum, 0.0)
    low = float(lows[-1])
    for _ in range(2):  # the two edges are nearly independent: alternate
        high = _cheapest(costs(counts, centers, np.full_like(highs, low), highs), highs)
        low = _cheapest(costs(counts, centers, lows, np.full_like(lows, high)), lows)
    return low, high


def _cheapest(costs: Array, edges: Array) -> float:
    return float(min(zip(costs, edges))[1])


CALIBRATORS: dict[str, Calibrator] = {
    "absmax": abs_max,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}
"""Calibrators by the name that the configuration uses; `LAMBDA` is one more, which takes a number."""


def calibrator(name: str, lambda_: float | None = None) -> Calibrator:
    """The calibrator of that name.

    Args:
        name: of `CALIBRATORS`, or `LAMBDA`.
        lambda_: the number of standard deviations of `LAMBDA`.

    Raises:
        MRTError: there is none, or `LAMBDA` has no number.
    """
    if name == LAMBDA:
        if lambda_ is None:
            raise MRTError("calibrator lambda: needs a number of standard deviations", Remedy.DEVIATIONS)
        return mean_and_deviations(lambda_)
    if name not in CALIBRATORS:
        raise MRTError(f"calibrator {name!r}: unknown; there are {', '.join((*CALIBRATORS, LAMBDA))}")
    return CALIBRATORS[name]
