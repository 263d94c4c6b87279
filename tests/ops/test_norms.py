"""Norms, whatever the magnitude of a row: what is all zero, constant, small beside others, or unseen in calibration."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from operator_cases import Build, relu
from toolchain import check_bit_exact, compile_network, random_network, signal_to_noise

from mrt.calibrate.calibrator import calibrate
from mrt.executors.mxnet import Executor
from mrt.graph import Array
from mrt.integer.form import ExtraBits
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import QuantizeSettings, quantize
from mrt.recipe import Recipe
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager

sym = mx.sym
SHAPE = (-1, 8, 6, 7)


def parameters(x: Any, size: int) -> list[Any]:
    return [x, sym.Variable("gamma", shape=(size,)), sym.Variable("beta", shape=(size,))]


NORMS: dict[str, tuple[Build, tuple[int, ...]]] = {
    **{
        f"l2 {mode} {eps}": (lambda x, m=mode, e=eps: sym.L2Normalization(x, mode=m, eps=e), axes)
        for mode, axes in (("channel", (1,)), ("spatial", (2, 3)), ("instance", (1, 2, 3)))
        for eps in (1e-12, 1e-10, 1e-3)
    },
    **{
        f"layer {axis} {eps}": (
            lambda x, a=axis, e=eps: sym.LayerNorm(*parameters(x, SHAPE[a]), axis=a, eps=e),
            (axis,),
        )
        for axis in (1, 3)
        for eps in (1e-12, 1e-5, 1e-3)
    },
    "instance": (lambda x: sym.InstanceNorm(*parameters(x, 8), eps=1e-5), (2, 3)),
    "group": (lambda x: sym.GroupNorm(*parameters(x, 2), num_groups=2, eps=1e-5), (2, 3)),
}


def rows(axes: tuple[int, ...], seed: int, decades: float = 3.0) -> Array:
    """Data whose rows along the axes are of magnitudes over some decades; some are all zero, some constant."""
    random = np.random.default_rng(seed)
    data = random.normal(size=(32, *SHAPE[1:]))
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(data.shape))
    data *= 10 ** -random.uniform(0, decades, kept)
    data[random.random(data.shape) < 0.2] = 0
    kind = np.broadcast_to(random.random(kept), data.shape)
    return np.where(kind < 0.2, 0, np.where(kind < 0.4, 0.25, data)).astype(np.float32)


def noise(symbol: Any, data: Array, seen: Array) -> tuple[float, Array, Array]:
    """Signal to noise in dB on the data where `seen` calibrates, the float outputs and the integers' in float."""
    network = random_network(symbol, SHAPE)
    prepared = PassManager(PREPARE, verify=seen[:2]).run(network)
    quantized = quantize(prepared, calibrate(prepared, [seen]), QuantizeSettings(input_precision=16))
    model = compile_model(quantized)
    (expected,) = Executor(network)(data)
    integers = quantize_input(data, quantized.input)
    (found,) = formal.run(model, integers)
    np.testing.assert_array_equal(found, Executor(quantized.graph, dtype="float64")(integers)[0])
    real = dequantize(found, quantized.outputs[0])
    return 10 * float(np.log10(np.square(expected).sum() / np.square(real - expected).sum())), expected, real


@pytest.mark.parametrize("name", NORMS)
def test_rows_of_any_magnitude(name: str) -> None:
    build, axes = NORMS[name]
    data = rows(axes, 0)
    assert noise(build(sym.Variable("data")), data, data)[0] > 40


@pytest.mark.parametrize("mode", ["channel", "instance"])
def test_the_length_of_unseen_rows_is_one(mode: str) -> None:
    axes = {"channel": (1,), "instance": (1, 2, 3)}[mode]
    seen, unseen = rows(axes, 1, 0.3), rows(axes, 2, 2.0) * 1.9
    _, expected, real = noise(sym.L2Normalization(sym.Variable("data"), mode=mode), unseen, seen)
    lengths, wanted = (np.sqrt(np.square(array).sum(axis=axes)) for array in (real, expected))
    assert (wanted == 0).any() and np.abs(lengths - wanted).max() < 0.01


@pytest.mark.parametrize("size", [3, 40, 300, 20000, 70000])
def test_rows_of_any_length(size: int) -> None:
    random = np.random.default_rng(3)
    data = (random.normal(size=(4, 2, size)) * [[[1.0], [0.02]]]).astype(np.float32)
    for symbol in (
        sym.L2Normalization(sym.Variable("data"), mode="spatial"),
        sym.InstanceNorm(*parameters(sym.Variable("data"), 2)),
    ):
        network = random_network(symbol, (-1, 2, size))
        prepared = PassManager(PREPARE, verify=data[:2]).run(network)
        quantized = quantize(prepared, calibrate(prepared, [data]), QuantizeSettings(input_precision=16))
        model = compile_model(quantized)
        real = dequantize(formal.run(model, quantize_input(data, quantized.input))[0], quantized.outputs[0])
        (expected,) = Executor(network)(data)
        assert np.square(expected).sum() / np.square(real - expected).sum() > 1e4


def test_a_background_of_zeros_before_a_norm() -> None:
    """ReLU leaves nothing of most rows."""
    convolved = sym.Convolution(sym.Variable("data"), num_filter=8, kernel=(3, 3), pad=(1, 1), name="c")
    symbol = sym.L2Normalization(relu(convolved - 1.5), mode="channel")
    layer = frozenset(["c"])
    network = random_network(symbol, SHAPE)
    compiled = compile_network(network, Recipe(input_precision=16), extra=ExtraBits(layer, layer))
    check_bit_exact(compiled)
    (expected,) = Executor(compiled.network)(compiled.data)
    assert 0.2 < np.mean(expected.any(axis=1)) < 0.9
    assert signal_to_noise(compiled)[0] > 55
