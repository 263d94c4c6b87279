"""Cross-layer equalization: the same function, channels of similar ranges, and nothing touched that must not be."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from toolchain import pictures, random_network

from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.gather import gather
from mrt.calibrate.largest_per_channel import largest_per_channel
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph, Node
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import quantize
from mrt.transform import PREPARE, PassManager
from mrt.transform.equalize import Equalize, measured

sym = mx.sym
IMAGE = (-1, 3, 8, 8)
DATA = sym.Variable("data")
CHANNELS = 6
LAYERS = ("Convolution", "FullyConnected")


def conv(x: Any, name: str, channels: int = CHANNELS, size: int = 3, **more: Any) -> Any:
    pad = (size // 2, size // 2)
    return sym.Convolution(x, num_filter=channels, kernel=(size, size), pad=pad, name=name, **more)


def relu(x: Any) -> Any:
    return sym.Activation(x, act_type="relu")


def relu6(x: Any) -> Any:
    return sym.clip(x, 0, 6)


def wild(symbol: Any, *names: str, seed: int = 0, decades: int = 1) -> Graph:
    """A prepared network whose layers of these names have outputs of very different sizes per channel."""
    random = np.random.default_rng(seed)
    plain = random_network(symbol, IMAGE)
    given = {}
    for name in names:
        size = 10 ** random.uniform(-decades, 0, len(plain.params[f"{name}_weight"]))
        given[f"{name}_weight"] = plain.params[f"{name}_weight"] * size.reshape(-1, 1, 1, 1)
        if f"{name}_bias" in plain.params:
            given[f"{name}_bias"] = plain.params[f"{name}_bias"] * size
    return PassManager(PREPARE).run(random_network(symbol, IMAGE, **given))


def data(graph: Graph, seed: int = 1) -> Array:
    return pictures(graph, 32, seed)


def equalized(graph: Graph) -> Graph:
    """The equalized graph: the same on MXNet, and the graph before as it was."""
    before = graph.nodes()
    largest = largest_per_channel(graph, measured(graph), [data(graph)[:20], data(graph)[20:]])
    result = PassManager([Equalize(largest)], verify=data(graph), tolerance=1e-5).run(graph)
    assert graph.nodes() == before
    return result


def spread(graph: Graph, layer: str) -> float:
    """How many times the smallest channel's range goes into the largest one's, in what the layer reads."""
    (node,) = (node for node in graph.nodes() if layer in node.origin and node.op in LAYERS)
    largest = largest_per_channel(graph, [node.inputs[0]], [data(graph)])[node.inputs[0].name]
    largest = largest.reshape(CHANNELS, -1).max(axis=1)  # flattened, a channel is several features
    return float(largest.max() / largest.min())


def weights(graph: Graph) -> dict[str, Array]:
    layers = [node for node in graph.nodes() if node.op in LAYERS]
    return {node.name: graph.params[node.inputs[1].node.name] for node in layers}


def noise(graph: Graph, reference: Graph) -> float:
    """Noise to signal of the quantized network, on the data that it was calibrated with."""
    batch = data(graph)
    quantized = quantize(graph, calibrate(graph, [batch]), moments=gather(graph, [batch]))
    found = Executor(quantized.graph, dtype="float64")(quantize_input(batch, quantized.input))
    real = Executor(reference)(batch)[0]
    return float(np.square(real - dequantize(found[0], quantized.outputs[0])).sum() / np.square(real).sum())


CHAINS: dict[str, Any] = {
    "relu": lambda: conv(relu(conv(DATA, "a")), "b"),
    "no activation": lambda: conv(conv(DATA, "a"), "b"),
    "pooling": lambda: conv(sym.Pooling(relu(conv(DATA, "a")), kernel=(2, 2), stride=(2, 2)), "b"),
    "two readers": lambda: (lambda x: sym.Concat(conv(x, "b"), conv(x, "c")))(relu(conv(DATA, "a"))),
    "concatenation": lambda: conv(sym.Concat(relu(conv(DATA, "a", 4)), conv(DATA, "c", 2)), "b"),
    "groups": lambda: conv(relu(conv(DATA, "a")), "b", num_group=2),
    "depthwise": lambda: conv(relu(conv(relu(conv(DATA, "a")), "b", num_group=6)), "c", size=1),
    "leaky": lambda: conv(sym.LeakyReLU(conv(DATA, "a"), act_type="leaky", slope=0.2), "b"),
    "residual": lambda: (lambda x: conv(relu(x + conv(relu(conv(x, "c")), "d")), "b"))(relu(conv(DATA, "a"))),
    "dense": lambda: sym.FullyConnected(relu(conv(DATA, "a")), num_hidden=5, name="b"),
    "global pooling": lambda: sym.FullyConnected(
        sym.Pooling(relu(conv(DATA, "a")), pool_type="avg", global_pool=True, kernel=(1, 1)), num_hidden=5, name="b"
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_function_stays_and_the_channels_even_out(name: str) -> None:
    graph = wild(CHAINS[name](), "a")
    assert spread(equalized(graph), "b") < 0.7 * spread(graph, "b")


def test_depthwise_readers_get_channels_of_more_similar_ranges_than_others() -> None:
    depthwise, full = wild(CHAINS["depthwise"](), "a"), wild(CHAINS["relu"](), "a")
    assert spread(depthwise, "b") == pytest.approx(spread(full, "b"))
    assert spread(equalized(depthwise), "b") < 0.8 * spread(equalized(full), "b")


def test_quantization_loses_less() -> None:
    graph = wild(CHAINS["depthwise"](), "a")
    assert noise(equalized(graph), graph) < 0.6 * noise(graph, graph)


def test_what_is_used_otherwise_stays() -> None:
    shared = relu(conv(DATA, "a"))
    for symbol in (
        sym.Group([conv(shared, "b"), shared]),
        conv(shared, "b") + sym.sigmoid(shared),
        conv(sym.Activation(conv(DATA, "a"), act_type="tanh"), "b"),
    ):
        graph = wild(symbol, "a")
        for layer, array in weights(equalized(graph)).items():
            np.testing.assert_array_equal(array, weights(graph)[layer])


def test_weights_on_a_grid_stay() -> None:
    symbol = CHAINS["relu"]()
    grid = np.random.default_rng(0).integers(-90, 91, (6, 6, 3, 3)) * 0.01
    graph = PassManager(PREPARE).run(random_network(symbol, IMAGE, b_weight=grid))
    np.testing.assert_array_equal(weights(equalized(graph))["b"], weights(graph)["b"])


def test_relu6_keeps_room_for_much_more_than_was_seen() -> None:
    symbol = conv(relu6(conv(DATA, "a", no_bias=True) * 3), "b")
    graph = wild(symbol, "a", decades=3)
    result = equalized(graph)
    assert not np.array_equal(weights(result)["b"], weights(graph)["b"])
    (clip,) = (node for node in graph.nodes() if node.op == "clip")
    clipped = Executor(graph, [clip.inputs[0]])(data(graph))[0].max(axis=(0, 2, 3)) > 3
    gain = weights(graph)["b"][0, :, 0, 0] / weights(result)["b"][0, :, 0, 0]
    assert clipped.any() and not clipped.all()
    assert (gain[clipped] == 1).all() and (gain >= 1).all() and gain.max() > 1.5
    expected, found = (Executor(each)(15 * data(graph))[0] for each in (graph, result))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_network_without_two_layers_in_a_row_is_left_alone() -> None:
    graph = wild(conv(DATA, "a"), "a")
    assert measured(graph) == []
    assert [type(node) for node in equalized(graph).nodes()] == [Node] * len(graph.nodes())


def test_a_mean_over_the_first_axis_moves_the_channels() -> None:
    """Steps first, as in recurrent networks: what was on axis 1 are the samples."""
    steps = sym.transpose(sym.Reshape(relu(conv(DATA, "before")), shape=(0, CHANNELS, -1)), axes=(1, 0, 2))
    mean = sym.mean(sym.FullyConnected(steps, num_hidden=5, flatten=False, name="each"), axis=0)
    joined = sym.Concat(mean, relu(sym.FullyConnected(mean, num_hidden=4)), dim=1)
    network = random_network(sym.FullyConnected(joined, num_hidden=3), IMAGE)
    data = pictures(network, 8, 1)
    prepared = PassManager(PREPARE, verify=data[:2]).run(network)
    largest = largest_per_channel(prepared, measured(prepared), [data])
    PassManager([Equalize(largest)], verify=data[:2]).run(prepared)
