"""The ends of residual blocks and of layers that shift twice, at the limits of 16 bits."""

from __future__ import annotations

import native_models
import numpy as np
from cvm import Model, formal, runtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import AVAILABLE, assert_same, run_native, save, values

CHANNELS = 80  # a whole tile of channels and a part of one


def requantization(b: native_models.Builder, x: int, data, precision: int = 8) -> int:
    """(x * m + a) >> s with one factor for all channels or one for each, with an offset on the grid or off it."""
    shift = data.draw(st.integers(1, 20), "shift")
    shape = data.draw(st.sampled_from([(1, 1, 1, 1), (1, CHANNELS, 1, 1)]), "shape")
    limit = min(2**13, 2 ** (shift - 1) + 1)
    multiplier = b.rng.integers(-limit, limit + 1, shape)
    addend = b.rng.integers(-200, 201, shape) << min(shift, 20)
    if not data.draw(st.booleans(), "offset on the grid"):
        addend += b.rng.integers(0, 2**shift, shape)
    y = b.op("broadcast_add", b.op("broadcast_mul", x, b.const(multiplier)), b.const(addend))
    return b.shift(y, shift, precision)


def compare(model: Model, folder) -> None:
    save(folder, model)
    x = values(np.random.default_rng(1), (2, *model.input_shape[1:]), 8)
    want = formal.run(model, x)
    for kernels in AVAILABLE:
        assert_same(model, run_native(folder, x, kernels=kernels), want)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_end_of_a_residual_block(data, tmp_path) -> None:
    """The branch and the sum reach the ends of 16 bits and beyond."""
    b = native_models.Builder((1, 64, 5, 7), data.draw(st.integers(0, 99), "seed"))
    branch = b.requantize(b.conv(b.data, CHANNELS, 1), 64, data.draw(st.sampled_from([14, 16, 17]), "precision"))
    skip = b.shift(b.op("broadcast_mul", b.conv(b.data, CHANNELS, 1), b.const([[[[5]]]])), 4, 16)
    total = b.op("elemwise_add", branch, skip) if data.draw(st.booleans(), "residual") else branch
    if data.draw(st.booleans(), "relu"):
        total = b.op("relu", total)
    total = b.op("cvm_clip", total, precision=16)
    narrow = requantization(b, total, data)
    compare(b.model(narrow, *([total] if data.draw(st.booleans(), "the sum is read again") else [])), tmp_path)
    assert "joint" in [step.get("ending") for step in runtime.load(tmp_path).plan()["steps"]]


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_layer_that_shifts_before_it_multiplies(data, tmp_path) -> None:
    b = native_models.Builder((1, 64, 5, 7), data.draw(st.integers(0, 99), "seed"))
    y = b.conv(b.data, CHANNELS, 1)
    y = b.shift(y, data.draw(st.integers(1, 12), "first shift"), 16)
    compare(b.model(requantization(b, y, data)), tmp_path)


def test_a_sum_beyond_16_bits_that_only_8_bits_are_made_of(tmp_path) -> None:
    """Without a clip between: what leaves 16 bits saturates in 8 bits too, or must not be cut off before."""
    for offset, shift in ((-127, 8), (0, 8), (-127, 10), (100, 9)):
        b = native_models.Builder((1, 64, 5, 7), 5)
        branch = b.requantize(b.conv(b.data, CHANNELS, 1), 64, 16)
        skip = b.shift(b.op("broadcast_mul", b.conv(b.data, CHANNELS, 1), b.const([[[[5]]]])), 4, 16)
        total = b.op("relu", b.op("elemwise_add", branch, skip))
        scaled = b.op("broadcast_mul", total, b.const([[[[1 << (shift - 8)]]]]))
        compare(b.model(b.shift(b.op("broadcast_add", scaled, b.const([[[[offset << shift]]]])), shift)), tmp_path)
