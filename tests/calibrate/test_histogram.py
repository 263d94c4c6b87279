"""Streaming histograms and the ranges that calibrators read off them."""

from __future__ import annotations

import numpy as np
import pytest

from mrt.calibrate.thresholds import CALIBRATORS, calibrator
from mrt.errors import MRTError
from mrt.statistics.histogram import Histogram
from mrt.statistics.tensor import Statistics

LEVELS = 254


def statistics(values: np.ndarray) -> Statistics:
    return Statistics.of(values.astype(np.float32))


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    """What saturates counts twice."""
    step = (high - low) / LEVELS
    quantized = np.rint(np.clip(values, low, high) / step) * step
    weights = np.where((values < low) | (values > high), 2, 1)
    return float(np.mean(weights * (quantized - values) ** 2))


def test_merging_pieces_equals_one_pass() -> None:
    values = np.random.default_rng(0).normal(0, 3, 4000).astype(np.float32)
    values[1000:2000] *= 50  # the second piece is far wider than the first
    whole = Statistics.of(values)
    merged = Statistics.of(values[:1000])
    for start in range(1000, 4000, 1000):
        merged = merged.merge(Statistics.of(values[start : start + 1000]))
    assert merged.histogram.reach == whole.histogram.reach
    assert np.array_equal(merged.histogram.counts, whole.histogram.counts)
    assert (merged.minimum, merged.maximum, merged.count) == (whole.minimum, whole.maximum, whole.count)
    assert merged.std == pytest.approx(whole.std, rel=1e-4)


def test_zeros_are_left_out_and_json_keeps_everything() -> None:
    histogram = Histogram.of(np.array([0, 0, 0, 1.5, -0.25], np.float32))
    assert histogram.counts.sum() == 2
    again = Histogram.from_json(histogram.to_json())
    assert again.reach == histogram.reach and np.array_equal(again.counts, histogram.counts)


def test_mse_is_as_good_as_trying_every_range() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.laplace(0, 1, 50_000), rng.normal(0, 8, 40)])
    chosen, full = CALIBRATORS["mse"](statistics(values), LEVELS), CALIBRATORS["absmax"](statistics(values), LEVELS)
    assert full == pytest.approx((values.min(), values.max()))
    edges = np.linspace(0.2, 1, 25)
    best = min(squared_error(values, a * values.min(), b * values.max()) for a in edges for b in edges)
    assert squared_error(values, *chosen) < 1.03 * best < squared_error(values, *full)


def test_mse_keeps_the_full_range_of_uniform_values() -> None:
    low, high = CALIBRATORS["mse"](statistics(np.random.default_rng(2).uniform(-1, 1, 50_000)), LEVELS)
    assert low == pytest.approx(-1, abs=0.06) and high == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("name", sorted(CALIBRATORS))
def test_one_sided_values_get_a_one_sided_range(name: str) -> None:
    values = np.maximum(np.random.default_rng(3).normal(0, 1, 20_000), 0)
    low, high = CALIBRATORS[name](statistics(values), LEVELS)
    assert low == 0
    assert 1.5 < high <= values.max() + 1e-6


@pytest.mark.parametrize("name", sorted(CALIBRATORS))
def test_a_constant_zero_tensor_has_no_range(name: str) -> None:
    assert CALIBRATORS[name](statistics(np.zeros(100)), LEVELS) == (0, 0)


def test_percentile_drops_the_outermost_values() -> None:
    values = np.concatenate([np.random.default_rng(4).uniform(0, 1, 100_000), [1000.0]])
    assert CALIBRATORS["percentile"](statistics(values), LEVELS)[1] < 3


def test_an_unknown_calibrator_is_refused() -> None:
    with pytest.raises(MRTError, match=r"'median': unknown; there are absmax"):
        calibrator("median")
