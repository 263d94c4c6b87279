"""Gains on channels of a layer's input: joined tensors of different sizes, and depthwise layers after functions."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from operator_cases import conv, dense, relu
from toolchain import pictures, random_network

from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.gather import gather
from mrt.calibrate.largest_per_channel import largest_per_channel
from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import quantize
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager
from mrt.transform.channel_gains import ChannelGains
from mrt.transform.equalize import Equalize, measured
from mrt.transform.gain_choice import find_gains

sym = mx.sym
PICTURE = (-1, 3, 12, 12)


def swish(x: Any) -> Any:
    return x * sym.sigmoid(x)


FUNCTIONS = {"relu": relu, "swish": swish, "pool": lambda x: sym.Pooling(relu(x), kernel=(2, 2), stride=(2, 2))}


def equalized(network: Graph) -> Graph:
    prepared = PassManager(PREPARE, verify=pictures(network, 2, 1)).run(network)
    largest = largest_per_channel(prepared, measured(prepared), [pictures(network, 64, 2)])
    return PassManager([Equalize(largest)]).run(prepared)


def with_gains(prepared: Graph) -> Graph:
    data = pictures(prepared, 64, 2)
    return PassManager([ChannelGains(find_gains(prepared, data))], verify=data[:2]).run(prepared)


def unseen_noise(network: Graph, prepared: Graph) -> float:
    """Signal to noise in dB on data that nothing was chosen on; the twins agree bit for bit."""
    data, unseen = pictures(network, 64, 2), pictures(network, 64, 3)
    quantized = quantize(prepared, calibrate(prepared, [data]), None, gather(prepared, [data]))
    integers = quantize_input(unseen, quantized.input)
    (found,) = formal.run(compile_model(quantized), integers)
    np.testing.assert_array_equal(found, Executor(quantized.graph, dtype="float64")(integers)[0])
    (expected,) = Executor(network)(unseen)
    real = dequantize(found, quantized.outputs[0])
    return 10 * float(np.log10(np.square(expected).sum() / np.square(real - expected).sum()))


def multiplications(graph: Graph) -> int:
    return sum(node.op == "broadcast_mul" and graph.constant(node.inputs[1]) is not None for node in graph.nodes())


def joined(ratio: float, function: str) -> Graph:
    """Two branches, one of them smaller, for which the weights that read it make up."""
    apply = FUNCTIONS[function]
    x = sym.Variable("data")
    both = sym.Concat(apply(conv(x, 8, name="large")), apply(conv(x, 8, name="small")) * (1 / ratio), dim=1)
    network = random_network(conv(both, 8, name="last"), PICTURE)
    weight = network.params["last_weight"].copy()
    weight[:, 8:] *= ratio
    return Graph(network.outputs, {**network.params, "last_weight": weight}, network.inputs)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("ratio", [1, 30, 100, 1000])
def test_joined_branches_of_different_size(ratio: float, function: str) -> None:
    network = joined(ratio, function)
    plain = equalized(network)
    gained = with_gains(plain)
    assert unseen_noise(network, gained) > 33
    if function != "swish":
        assert multiplications(gained) <= multiplications(plain), "the layer before takes the gain"
    if ratio == 1:
        assert [node.op for node in gained.nodes()] == [node.op for node in plain.nodes()]


FLATTENED = {
    "dense": lambda x: x,
    "reshape": lambda x: sym.Reshape(x, shape=(0, -1)),
    "pool": lambda x: sym.Pooling(relu(x), kernel=(2, 2), stride=(2, 2), pool_type="max"),
}


@pytest.mark.parametrize("ratio", [10, 300, 1000])
@pytest.mark.parametrize("way", FLATTENED)
def test_joined_branches_that_a_dense_layer_reads(ratio: float, way: str) -> None:
    """Three of them; the gains of flattened channels go into the branches, before they share a scale."""
    x, sizes = sym.Variable("data"), (1.0, ratio**-0.5, 1 / ratio)
    both = sym.Concat(*(relu(conv(x, 8, name=f"branch{i}")) for i in range(3)), dim=1)
    network = random_network(dense(FLATTENED[way](both), 10, name="last"), PICTURE)
    params = dict(network.params)
    for i, size in enumerate(sizes):
        params[f"branch{i}_weight"], params[f"branch{i}_bias"] = (
            params[f"branch{i}_{part}"] * np.float32(size) for part in ("weight", "bias")
        )
    weight = params["last_weight"].reshape(10, 3, -1)
    params["last_weight"] = (weight / np.array(sizes, np.float32).reshape(1, 3, 1)).reshape(10, -1)
    network = Graph(network.outputs, params, network.inputs)
    gained = with_gains(equalized(network))
    assert unseen_noise(network, gained) > 33
    assert multiplications(gained) == 0


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_a_depthwise_layer_whose_input_channels_differ(spread: float) -> None:
    """A function that no gain passes through is in between, and one channel reaches far beyond the others."""
    x = swish(conv(sym.Variable("data"), 12, name="before"))
    network = random_network(dense(conv(x, 12, num_group=12, name="depthwise"), 10, name="last"), PICTURE)
    sizes = np.exp(np.random.default_rng(0).normal(0, spread, (12, 1, 1, 1))).astype(np.float32)
    params = dict(network.params)
    params["before_weight"] = params["before_weight"] * sizes
    params["depthwise_weight"] = params["depthwise_weight"] / sizes
    network = Graph(network.outputs, params, network.inputs)
    plain = equalized(network)
    gained = with_gains(plain)
    before, after = (unseen_noise(network, graph) for graph in (plain, gained))
    assert after > 33
    if spread:
        assert before < 22 and multiplications(gained) == 1
    else:
        assert multiplications(gained) == 0


def test_a_joined_tensor_that_others_read_too_keeps_its_size() -> None:
    x = sym.Variable("data")
    both = sym.Concat(swish(conv(x, 8, name="large")), swish(conv(x, 8, name="small")) * 0.003, dim=1)
    network = random_network(sym.Group([conv(both, 8, name="last"), sym.sigmoid(both)]), PICTURE)
    weight = network.params["last_weight"].copy()
    weight[:, 8:] *= 300
    network = Graph(network.outputs, {**network.params, "last_weight": weight}, network.inputs)
    data = pictures(network, 8, 4)
    for expected, found in zip(Executor(network)(data), Executor(with_gains(equalized(network)))(data)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
