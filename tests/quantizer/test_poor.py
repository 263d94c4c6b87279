"""Which layers get 16 bits because 8 would spoil their output, and what that gains."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
from operator_cases import conv, dense, relu
from toolchain import check_bit_exact, compile_network, pictures, random_network, signal_to_noise

from mrt.calibrate.calibrator import calibrate
from mrt.graph import Graph
from mrt.integer.form import ExtraBits
from mrt.quantizer.poor import poor_layers
from mrt.quantizer.quantize import QuantizeSettings
from mrt.recipe import Recipe
from mrt.transform import PREPARE, PassManager

sym = mx.sym
PICTURE = (-1, 3, 12, 12)


def network(amplified: float) -> Graph:
    """A depthwise layer of which one channel is amplified and then clamped, between ordinary layers."""
    x = sym.clip(conv(sym.Variable("data"), 8, name="before"), a_min=0, a_max=6)
    x = sym.clip(conv(x, 8, num_group=8, name="depthwise"), a_min=0, a_max=6)
    found = random_network(dense(relu(conv(x, 8, (1, 1), (0, 0), name="point")), 10, name="last"), PICTURE)
    weight = found.params["depthwise_weight"].copy()
    weight[0] *= amplified
    return Graph(found.outputs, {**found.params, "depthwise_weight": weight}, found.inputs)


def chosen(graph: Graph, **settings: Any) -> ExtraBits:
    prepared = PassManager(PREPARE).run(graph)
    data = pictures(graph, 32, 2)
    return poor_layers(prepared, calibrate(prepared, [data]), QuantizeSettings(**settings), [data])


def test_a_channel_amplified_and_clamped_gets_more_bits() -> None:
    wild = network(400.0)
    extra = chosen(wild)
    assert extra.inputs == {"depthwise"}
    exact = ExtraBits(frozenset({"before"}), frozenset({"before"}))  # what comes before is amplified just the same
    plain, wide = (compile_network(wild, Recipe(input_precision=16), extra=bits) for bits in (exact, exact | extra))
    check_bit_exact(wide)
    assert signal_to_noise(wide)[0] > signal_to_noise(plain)[0] + 5


def test_ordinary_layers_stay_at_eight_bits() -> None:
    assert chosen(network(1.0)) == ExtraBits()


def test_the_share_of_the_work_is_bounded() -> None:
    """A layer that is most of a large network is left alone, however much it loses."""
    x = sym.Variable("data")
    x = sym.clip(conv(x, 32, name="before"), a_min=0, a_max=6)
    large = random_network(dense(sym.clip(conv(x, 160, name="large"), a_min=0, a_max=6), 4), (-1, 3, 24, 24))
    weight = large.params["large_weight"] * np.float32(300)
    large = Graph(large.outputs, {**large.params, "large_weight": weight}, large.inputs)
    assert "large" not in chosen(large).inputs | chosen(large).weights


def test_what_has_more_bits_already_is_not_asked() -> None:
    assert "depthwise" not in chosen(network(400.0), extra=ExtraBits(frozenset({"depthwise"}))).inputs


def test_a_layer_of_which_a_step_is_made_gets_exact_weights() -> None:
    """y / (y + 1e-6) behind ReLU: wherever rounding moves y across 0, all of the entry is wrong."""
    y = relu(conv(sym.Variable("data"), 8, name="first"))
    graph = random_network(dense(y * sym.reciprocal(y + 1e-6), 10, name="last"), PICTURE)
    assert chosen(graph).weights == {"first"}
    assert chosen(random_network(dense(y * sym.reciprocal(y + 1.0), 10, name="last"), PICTURE)).weights == frozenset()
