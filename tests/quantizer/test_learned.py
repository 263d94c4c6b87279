"""Learned rounding and bias correction: what they are for, and what they may not do."""

from __future__ import annotations

import numpy as np
import pytest
from cvm.ops.base import Range

from mrt.calibrate.gather import gather
from mrt.graph import Array, Graph, Node, Value
from mrt.integer.layer import QuantizedLayer, quantize_layer
from mrt.integer.learned import learn_rounding
from mrt.integer.qvalue import IntValue, QValue, Target, exact
from mrt.integer.rounding import COMPENSATED, LEARNED, NEAREST, Rounding
from mrt.statistics.moments import Moments

LIMIT = 127


def correlated(count: int, width: int, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    data = random.normal(size=(count, 4)) @ random.normal(size=(4, width)) + 0.3 * random.normal(size=(count, width))
    return np.maximum(data + 0.5, 0).astype(np.float32)


def covariance(data: Array) -> Array:
    return (np.cov(data.T, bias=True) + 1e-3 * np.eye(data.shape[1]))[None]


def cost(quantized: Array, weights: Array, step: Array, moments: Array) -> Array:
    difference = quantized * step[:, :, None] - weights
    result: Array = np.einsum("gri,gij,grj->gr", difference, moments, difference)
    return result


@pytest.fixture(scope="module")
def problem() -> tuple[Array, Array, Array]:
    """Weights (1, 10, 32), coarse steps and the covariance of inputs."""
    weights = np.random.default_rng(1).normal(size=(1, 10, 32))
    return weights, np.abs(weights).max(axis=2) / 7, covariance(correlated(2000, 32))


def test_every_row_costs_no_more_than_rounded_to_the_nearest(problem: tuple[Array, Array, Array]) -> None:
    weights, step, moments = problem
    learned = cost(learn_rounding(weights, step, LIMIT, moments), weights, step, moments)
    nearest = cost(np.rint(weights / step[:, :, None]), weights, step, moments)
    assert (learned <= nearest * (1 + 1e-9)).all()
    assert learned.sum() < 0.5 * nearest.sum()


@pytest.mark.parametrize("limit", [127, 5])
def test_each_weight_becomes_one_of_the_two_integers_next_to_it(
    problem: tuple[Array, Array, Array], limit: int
) -> None:
    weights, step, moments = problem
    learned = learn_rounding(weights, step, limit, moments)
    assert (learned == np.rint(learned)).all() and np.abs(learned).max() <= limit
    assert np.abs(learned - np.clip(weights / step[:, :, None], -limit, limit)).max() <= 1


def test_groups_are_learned_each_by_itself_and_twice_the_same(problem: tuple[Array, Array, Array]) -> None:
    weights, step, moments = problem
    other = covariance(correlated(2000, 32, seed=5))
    both = learn_rounding(
        np.concatenate([weights, weights]), np.concatenate([step, step]), LIMIT, np.concatenate([moments, other])
    )
    np.testing.assert_array_equal(both[:1], learn_rounding(weights, step, LIMIT, moments))
    np.testing.assert_array_equal(both[1:], learn_rounding(weights, step, LIMIT, other))
    assert not np.array_equal(both[0], both[1])


def test_weights_that_are_integers_stay(problem: tuple[Array, Array, Array]) -> None:
    weights, step, moments = problem
    integers = np.rint(weights / step[:, :, None])
    np.testing.assert_array_equal(learn_rounding(integers * step[:, :, None], step, LIMIT, moments), integers)


def layer(rounding: Rounding, data: Array, weight: Array, scale: float) -> tuple[QuantizedLayer, Array]:
    """The layer quantized, and its error on the data."""
    target = Target(exact(float(np.abs(data @ weight.T).max()) / 2**15), 0, 16)
    tensor = IntValue(Value(Node("null", "x")), (1, data.shape[1]), 8, Range.of(-127, 127))
    x = QValue(tensor, exact(scale))
    result = quantize_layer(weight, None, x, target, known(data, weight), rounding=rounding)
    accumulator = result.multiplier * (data / scale @ result.weight.T) + result.addend
    return result, accumulator / 2.0**result.shift * float(target.scale) - data @ weight.T


def known(data: Array, weight: Array) -> Moments:
    inputs = (Value(Node("null", "x")), Value(Node("null", "w")))
    node = Node("FullyConnected", "dense", inputs, {"num_hidden": str(len(weight)), "no_bias": "True"})
    return gather(Graph((Value(node),), {"w": weight}, {"x": (-1, data.shape[1])}), [data])["dense"]


def test_the_modes_of_a_layer() -> None:
    data = correlated(1000, 24)
    weight = np.random.default_rng(2).normal(size=(6, 24)).astype(np.float32)
    scale = float(data.max()) / 127
    error = {}
    for mode in (NEAREST, COMPENSATED, LEARNED):
        result, difference = layer(Rounding(mode), data, weight, scale)
        assert np.abs(result.weight).max() <= LIMIT
        error[mode] = float(np.square(difference).mean())
    assert error[LEARNED] < 0.5 * error[NEAREST]
    assert error[COMPENSATED] < 0.5 * error[NEAREST]


@pytest.mark.parametrize("mode", [NEAREST, COMPENSATED, LEARNED])
def test_bias_correction_takes_back_the_mean_error(mode: str) -> None:
    data = correlated(1000, 24)
    weight = np.random.default_rng(3).normal(size=(6, 24)).astype(np.float32)
    scale = float(data.max()) / 127
    (plain, without), (corrected, with_) = (layer(Rounding(mode, on), data, weight, scale) for on in (False, True))
    np.testing.assert_array_equal(plain.weight, corrected.weight)
    assert np.abs(with_.mean(axis=0)).max() < 0.1 * np.abs(without.mean(axis=0)).max()
