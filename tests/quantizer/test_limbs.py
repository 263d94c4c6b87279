"""Layers that take 16 bits of their input or of their weights: legal, exact, and nearer to the float network."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from operator_cases import conv, dense, relu
from test_networks import PICTURE, mobilenet_v2, prelu_cascade, resnet
from toolchain import Compiled, check, compile_network, random_network, signal_to_noise

from mrt.graph import Graph
from mrt.integer.form import ExtraBits
from mrt.recipe import Recipe

sym = mx.sym


def offset_layers(x: Any) -> Any:
    """Layers that read one-sided tensors: padded, strided, dilated, grouped, dense."""
    x = relu(conv(x, 8))
    x = relu(conv(x, 8, stride=(2, 2), num_group=8))
    x = relu(conv(x, 8, pad=(2, 2), dilate=(2, 2)))
    return dense(relu(dense(relu(conv(x, 8, (1, 1), (0, 0))), 12)), 5)


def extra_bits(network: Graph, inputs: bool, weights: bool) -> Compiled:
    names = frozenset(compile_network(network).quantized.layer_inputs)
    empty: frozenset[str] = frozenset()
    extra = ExtraBits(names if inputs else empty, names if weights else empty)
    return compile_network(network, Recipe(input_precision=15), extra=extra)


@pytest.mark.parametrize("build", [offset_layers, resnet, mobilenet_v2, prelu_cascade], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("inputs", "weights"), [(True, False), (False, True), (True, True)])
def test_every_layer_with_extra_bits(build: Callable[[Any], Any], inputs: bool, weights: bool) -> None:
    check(extra_bits(random_network(build(sym.Variable("data")), PICTURE), inputs, weights), 27)


def test_sixteen_bits_everywhere_leave_almost_no_noise() -> None:
    network = random_network(offset_layers(sym.Variable("data")), PICTURE)
    plain = min(signal_to_noise(compile_network(network)))
    assert min(signal_to_noise(extra_bits(network, inputs=True, weights=False))) > plain + 3
    assert min(signal_to_noise(extra_bits(network, inputs=True, weights=True))) > plain + 25


def test_weight_limbs_add_up() -> None:
    """A layer of one input: the compiled model's two 8-bit weights make the 16-bit one."""
    weight = np.array([[0.7, -0.3], [0.011, 0.7]], dtype=np.float32)
    network = random_network(dense(sym.Variable("data"), 2, no_bias=True, name="only"), (-1, 2), only_weight=weight)
    compiled = extra_bits(network, inputs=False, weights=True)
    high, low = (array for array in compiled.model.params.values() if array.shape == (2, 2))
    assert max(np.abs(high).max(), np.abs(low).max()) <= 127
    together = high.astype(np.int64) * 256 + low
    np.testing.assert_allclose(together / np.abs(together).max(axis=1, keepdims=True), weight / 0.7, atol=1.01 / 2**15)
