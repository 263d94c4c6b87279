"""Weights of convolution and dense layers: the multiplier is exact, and nothing overflows."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import sympy
from cvm.ops.base import Range
from hypothesis import given, settings

from mrt.calibrate.gather import gather
from mrt.graph import Array, Graph, Node, Value
from mrt.integer.layer import common_step, finest_step, quantize_layer, weight_steps
from mrt.integer.qvalue import IntValue, QValue, Target, exact


def narrow_input(scale: float, offset: int = 0) -> QValue:
    tensor = IntValue(Value(Node("null", "x")), (1, 8), 8, Range.of(-127, 127))
    return QValue(tensor, exact(scale), offset)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**16),
    st.floats(1e-4, 10),
    st.floats(0.01, 4),
    st.sampled_from([0, 127, -127]),
    st.integers(1, 600),
    st.booleans(),
)
def test_the_integers_stand_for_the_float_layer(
    seed: int, scale: float, spread: float, offset: int, inputs: int, wide: bool
) -> None:
    """Evaluated in rationals, multiplier * 2^-shift is exactly the ratio of scales that the integer weights imply."""
    random = np.random.default_rng(seed)
    weight = random.normal(size=(5, inputs)) * np.exp2(random.uniform(-3, 0, (5, 1)))
    bias = random.normal(size=5) * scale * 50
    x = narrow_input(scale, offset)
    bits = 16 if wide else 8
    reach = float(np.abs(weight).sum(axis=1).max()) * scale * 127 * spread
    target = Target(exact(reach / 2 ** (bits - 1)), 0, bits).no_finer_than(finest_step(weight, bias, x))
    layer = quantize_layer(weight, bias, x, target)
    assert np.abs(layer.weight).max() <= 127
    assert (layer.multiplier >= 1).all()
    assert 1 <= layer.shift <= 30
    step = [sympy.Rational(int(m), 2**layer.shift) * target.scale / x.scale for m in layer.multiplier]
    restored = layer.weight * np.array([float(s) for s in step])[:, None]
    largest = np.abs(weight).max(axis=1)
    assert (np.abs(restored - weight).max(axis=1) <= 0.35 * largest).all()
    error = np.sqrt(np.square(restored - weight).sum(axis=1) / np.square(weight).sum(axis=1))
    assert (error < 0.03).all()
    data = random.integers(-127, 128, (20, inputs))
    accumulator = layer.multiplier * ((data + offset) @ layer.weight.T) + layer.addend
    real = float(target.scale) * accumulator / 2.0**layer.shift
    expected = scale * (data + offset) @ restored.T + bias
    np.testing.assert_allclose(real, expected, atol=float(target.scale) + 1e-6 * np.abs(expected).max())


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**16), st.integers(1, 4))
def test_small_channels_are_not_clipped_away(seed: int, decades: int) -> None:
    """A channel much smaller than the largest has few multipliers to choose from; its weights still fit in 8 bits."""
    random = np.random.default_rng(seed)
    weight = random.uniform(0.5, 1.0, (2, 16)) * np.array([[1.0], [10.0**-decades]])
    x = narrow_input(0.01)
    target = Target(exact(16 * 1.27 / 2**15), 0, 16)
    layer = quantize_layer(weight, None, x, target)
    step = layer.multiplier * float(target.scale) / 2.0**layer.shift / 0.01
    error = np.abs(layer.weight * step[:, None] - weight).max(axis=1)
    assert (error <= np.maximum(0.51 * step, 0.3 * weight.max(axis=1))).all()
    assert error[1] < weight[1].max() * max(0.3, 0)


def test_weights_on_a_grid_are_kept_exactly() -> None:
    random = np.random.default_rng(0)
    weight = random.integers(-100, 101, (4, 50)) * 0.0123
    weight[0] *= 0.1 / np.abs(weight[0]).max()
    assert common_step(weight[1:]) == pytest.approx(0.0123)
    layer = quantize_layer(weight[1:], None, narrow_input(1.0), Target(exact(0.0123), 0, 16))
    np.testing.assert_array_equal(layer.weight, np.rint(weight[1:] / 0.0123))


@pytest.mark.parametrize(
    "weight",
    [
        np.zeros((3, 4)),
        np.array([[0.0, 0.0], [1.0, -1.0]]),
        np.array([[0.1, np.nextafter(0.1, 1), np.nextafter(np.nextafter(0.1, 1), 1), 0.1]]),
        np.full((2, 9), 1 / 9),
        np.array([[1e-20, 1.0]]),
        np.full((1, 5000), 0.3),
    ],
)
def test_unusual_weights(weight: Array) -> None:
    layer = quantize_layer(weight, None, narrow_input(0.1), Target(exact(0.1), 0, 16))
    step = layer.multiplier * 2.0**-layer.shift
    np.testing.assert_allclose(layer.weight * step[:, None], weight, atol=0.51 * step.max())
    assert (weight_steps(weight) > 0).all()


def test_rounding_by_effect_beats_rounding_to_nearest_on_correlated_inputs() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(6, 24)).astype(np.float32)
    data = (random.normal(size=(400, 3)) @ random.normal(size=(3, 24)) + 5).astype(np.float32)
    x = Value(Node("null", "x"))
    dense = Node("FullyConnected", "dense", (x, Value(Node("null", "w"))), {"num_hidden": "6", "no_bias": "True"})
    graph = Graph((Value(dense),), {"w": weight}, {"x": (-1, 24)})
    moments = gather(graph, [data[:100], data[100:]])["dense"]
    np.testing.assert_allclose(moments.mean[0], data.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moments.covariance(0)[0], np.cov(data.T, bias=True), atol=1e-3)
    scale = np.abs(data).max() / 127
    target = Target(exact(float(np.abs(data @ weight.T).max()) / 2**15), 0, 16)

    def error(layer_moments: object) -> float:
        layer = quantize_layer(weight, None, narrow_input(scale), target, layer_moments)  # type: ignore[arg-type]
        accumulator = layer.multiplier * (data / scale @ layer.weight.T) + layer.addend
        return float(np.square(accumulator / 2.0**layer.shift * float(target.scale) - data @ weight.T).mean())

    assert error(moments) < 0.2 * error(None)
