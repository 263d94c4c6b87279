"""Networks that 8 bits are hard on, through the whole compiler: exact on every executor, and near the float network.

The weights are seeded and random, so there is no accuracy to lose: the bars are for the outputs' signal to noise and
for agreement with the float network on data that calibration has not seen. Both are what these networks reach, less a
margin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from cvm import runtime
from cvm.package import save_package
from operator_cases import conv, dense, pool, relu
from test_networks import global_mean, hard_swish, norm, prelu, relu6
from toolchain import check, compile_network, pictures, random_network

from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.integer.tensor_info import dequantize, quantize_input

sym = mx.sym
PICTURE = (-1, 3, 16, 16)


def hard_swish_network(x: Any) -> Any:
    for channels, stride in ((8, 1), (12, 2), (16, 2)):
        x = hard_swish(norm(conv(x, channels, stride=(stride, stride), no_bias=True)))
        x = hard_swish(norm(conv(x, channels, num_group=channels, no_bias=True))) + x
    return dense(hard_swish(dense(global_mean(x), 24)), 10)


def gated(x: Any) -> Any:
    """Residual blocks with squeeze-and-excite gates."""
    x = relu(norm(conv(x, 8)))
    for _ in range(3):
        y = norm(conv(relu(norm(conv(x, 8, no_bias=True))), 8, no_bias=True))
        gate = sym.sigmoid(conv(relu(conv(global_mean(y), 4, (1, 1), (0, 0))), 8, (1, 1), (0, 0)))
        x = relu(sym.broadcast_mul(y, gate) + x)
    return dense(global_mean(x), 10)


def wild_depthwise(x: Any) -> Any:
    x = relu6(norm(conv(x, 16, stride=(2, 2), no_bias=True)))
    for _ in range(3):
        x = relu6(norm(conv(x, 16, num_group=16, no_bias=True)))
        x = relu(norm(conv(x, 16, (1, 1), (0, 0), no_bias=True)))
    return dense(global_mean(x), 10)


def outputs_after_softmax(x: Any) -> Any:
    x = relu(norm(conv(relu(norm(conv(x, 16, stride=(2, 2)))), 16)))
    pooled = global_mean(x)
    over_channels = sym.softmax(conv(x, 4, (1, 1), (0, 0)), axis=1)
    return sym.Group([sym.softmax(dense(pooled, 10) * 4), over_channels, sym.sigmoid(dense(pooled, 3))])


def prelu_cascade(x: Any) -> Any:
    for i in range(6):
        stride = (2, 2) if i % 3 == 2 else (1, 1)
        x = prelu(norm(conv(x, 10, stride=stride, no_bias=True)), 10, f"slope{i}")
    return dense(x, 10)


def zeros_beside(x: Any, channels: int) -> Any:
    """A shortcut to twice the channels: every other pixel, and zeros on both sides of the channels."""
    taken = sym.slice(x, begin=(None,) * 4, end=(None,) * 4, step=(None, None, 2, 2))
    widths = (0, 0, 0, 0, channels // 2, channels // 2, 0, 0, 0, 0)
    padded = sym.Pad(sym.expand_dims(taken, axis=1), mode="constant", pad_width=widths)
    return sym.reshape(padded, shape=(0, -3, -2))


def zeros_behind(x: Any, channels: int) -> Any:
    """A shortcut to twice the channels: pooled pixels, and as many zeros behind them."""
    pooled = pool(x, "avg", (2, 2), (2, 2))
    return sym.Concat(pooled, pooled * 0, dim=1)


def padded_shortcuts(x: Any, shortcut: Callable[[Any, int], Any]) -> Any:
    def block(x: Any, channels: int, stride: int) -> Any:
        y = norm(conv(relu(norm(conv(x, channels, stride=(stride, stride)))), channels))
        return relu(y + (x if stride == 1 else shortcut(x, channels // 2)))

    x = relu(norm(conv(x, 8)))
    for channels, stride in ((8, 1), (16, 2), (16, 1), (32, 2)):
        x = block(x, channels, stride)
    return dense(global_mean(x), 10)


def spread_channels(network: Graph) -> Graph:
    """Channels whose ranges differ by two orders of magnitude, as training leaves them before depthwise layers."""
    random = np.random.default_rng(7)
    params = {
        name: (array * np.exp(random.normal(0, 1.2, array.shape))).astype(np.float32)
        if name.endswith("gamma")
        else array
        for name, array in network.params.items()
    }
    return Graph(network.outputs, params, network.inputs)


NETWORKS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "hard-swish": (hard_swish_network, 42),
    "squeeze-and-excite": (gated, 45),
    "wild depthwise": (wild_depthwise, 46),
    "after softmax": (outputs_after_softmax, 38),
    "prelu cascade": (prelu_cascade, 33),
    "zeros beside": (lambda x: padded_shortcuts(x, zeros_beside), 45),
    "zeros behind": (lambda x: padded_shortcuts(x, zeros_behind), 45),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str, tmp_path: Path) -> None:
    build, bar = NETWORKS[name]
    network = random_network(build(sym.Variable("data")), PICTURE)
    compiled = compile_network(spread_channels(network) if build is wild_depthwise else network)
    check(compiled, bar)
    unseen = pictures(network, 64, 11)
    integers = quantize_input(unseen, compiled.quantized.input)
    save_package(tmp_path, compiled.model, {}, None)
    native = runtime.load(tmp_path)(integers)
    found = list(native) if isinstance(native, tuple) else [native]
    for ours, theirs in zip(found, Executor(compiled.quantized.graph, dtype="float64")(integers)):
        np.testing.assert_array_equal(ours, theirs.astype(np.int64), "the native runtime against MXNet")
    expected = Executor(compiled.network)(unseen)[0]
    real = dequantize(found[0], compiled.quantized.outputs[0])
    assert np.mean(real.argmax(axis=1) == expected.argmax(axis=1)) >= 0.95
