"""Which layers read 16 bits by default: those of one position, while they are a small part of the network."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from operator_cases import conv, dense, relu
from toolchain import check, compile_network, random_network, signal_to_noise

from mrt.graph import Graph
from mrt.integer.form import ExtraBits
from mrt.quantizer.cheap import cheap_layers, input_layers
from mrt.recipe import Recipe
from mrt.transform import PREPARE, PassManager

sym = mx.sym
PICTURE = (-1, 3, 24, 24)


def pooled(x: Any) -> Any:
    return sym.Pooling(x, pool_type="avg", global_pool=True, kernel=(1, 1))


def gated(x: Any) -> Any:
    """A squeeze-and-excite network: two gates' layers, as convolutions, and a classifier as large as the rest."""
    x = relu(conv(x, 64))
    gate = conv(relu(conv(pooled(x), 4, (1, 1), (0, 0), name="squeeze")), 64, (1, 1), (0, 0), name="excite")
    x = relu(conv(sym.broadcast_mul(x, sym.sigmoid(gate)), 64, name="wide"))
    return dense(pooled(x), 1000, name="classifier")


def prepared(symbol: Any) -> Graph:
    return PassManager(PREPARE).run(random_network(symbol, PICTURE))


def chosen(symbol: Any) -> set[str]:
    graph = prepared(symbol)
    names = cheap_layers(graph).inputs
    return {origin for node in graph.nodes() if node.name in names for origin in node.origin}


def test_gates_are_chosen_and_neither_what_sees_the_picture_nor_most_of_the_weights() -> None:
    found = chosen(gated(sym.Variable("data")))
    assert {"squeeze", "excite"} <= found
    assert not {"wide", "classifier"} & found


def test_what_is_most_of_the_network_stays_at_eight_bits() -> None:
    assert chosen(dense(relu(dense(sym.Variable("data"), 12, name="first")), 12, name="last")) <= {"last"}
    assert chosen(dense(sym.Variable("data"), 12)) == set()


def test_rows_are_positions() -> None:
    rows = sym.Reshape(relu(conv(sym.Variable("data"), 64)), shape=(-1, 24))
    assert chosen(dense(rows, 2, name="rows")) == set()


def test_the_compiled_network_is_exact_and_nearer_to_the_float_one() -> None:
    x = relu(conv(relu(conv(sym.Variable("data"), 32)), 32))
    network = random_network(dense(pooled(x), 10), PICTURE)
    plain = compile_network(network, Recipe(precision="8"))
    compiled = compile_network(network)
    check(compiled, 25)
    assert min(signal_to_noise(compiled)) > min(signal_to_noise(plain)) + 1


def test_more_bits_of_the_input_reach_the_first_layer() -> None:
    """That layer alone reads the input, so its rounding is all there is but for the weights'."""
    scaled = sym.broadcast_add(sym.Variable("data"), sym.Variable("mean_bias", shape=(1, 3, 1, 1)))
    network = random_network(conv(relu(conv(scaled, 16, name="first")), 8, name="second"), PICTURE)
    found = input_layers(PassManager(PREPARE).run(network))
    assert found.inputs == {"first"}
    eight, narrowed, twelve = (
        min(signal_to_noise(compile_network(network, Recipe(input_precision=bits), extra=extra)))
        for bits, extra in ((8, ExtraBits()), (12, ExtraBits()), (12, found))
    )
    assert twelve > max(eight, narrowed) + 1.5, (eight, narrowed, twelve)
