"""What each operator's quantization costs, and why: against whole networks, and on networks made to have one cause."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from operator_cases import conv, dense, relu
from test_networks import PICTURE, mobilenet_v3, prelu_cascade, resnet
from toolchain import Compiled, compile_network, pictures, random_network, signal_to_noise

from mrt.analysis.sensitivity import Measured, measure
from mrt.calibrate.calibrator import calibrate
from mrt.graph import Array, Graph
from mrt.integer.form import ExtraBits
from mrt.quantizer.quantize import QuantizeSettings, quantize
from mrt.transform import PREPARE, PassManager

sym = mx.sym
DATA = sym.Variable("data")


def measured(compiled: Compiled, data: Array, **options: Any) -> Measured:
    return measure(compiled.prepared, compiled.quantized, [(data, np.zeros(len(data), np.int64))], None, **options)


def decibels(noise: float) -> float:
    return float(-10 * np.log10(noise))


@pytest.mark.parametrize("build", [resnet, mobilenet_v3, prelu_cascade], ids=lambda build: build.__name__)
def test_the_parts_make_up_the_whole(build: Any) -> None:
    """The operators' noises, which are nearly independent, add up to the integer network's own."""
    compiled = compile_network(random_network(build(DATA), PICTURE))
    result = measured(compiled, compiled.data)
    whole = 10 ** (-np.array(signal_to_noise(compiled)) / 10)
    assert result.quantized.noise == pytest.approx(whole.mean(), rel=0.02), "but for float32, formal agrees"
    assert decibels(sum(o.only.noise for o in result.operators)) == pytest.approx(result.quantized.sqnr_db, abs=1)
    worst = max(result.operators, key=lambda o: o.only.noise)
    assert worst.left and worst.left.sqnr_db > result.quantized.sqnr_db + 1
    for operator in result.operators:
        assert sum(operator.causes.values()) == pytest.approx(1)
        assert operator.left is not None


def test_a_network_of_one_layer_is_that_layer() -> None:
    """Only it in integers is the whole in integers; all but it is only the output's rounding to 16 bits."""
    compiled = compile_network(random_network(dense(DATA, 6), (-1, 20)))
    result = measured(compiled, compiled.data)
    (layer,) = result.operators
    assert layer.only.noise == pytest.approx(result.quantized.noise, rel=1e-3)
    assert layer.left is not None
    step = float(compiled.quantized.outputs[0].scale)
    signal = np.square(compiled.data @ next(iter(compiled.prepared.params.values())).T).mean()
    assert layer.left.noise == pytest.approx(step**2 / 12 / signal, rel=0.5)
    assert layer.macs == 120


def test_batches_and_pieces_make_no_difference() -> None:
    compiled = compile_network(random_network(resnet(DATA), PICTURE))
    labels = np.zeros(16, np.int64)
    once = measure(compiled.prepared, compiled.quantized, [(compiled.data, labels)], None, left_too=False)
    parts = [(compiled.data[i : i + 5], labels[i : i + 5]) for i in range(0, 16, 5)]
    done: list[int] = []
    again = measure(compiled.prepared, compiled.quantized, parts, None, left_too=False, advance=done.append)
    assert again.pictures == once.pictures == 16
    assert sum(done) == 16 * len(once.operators)
    for a, b in zip(once.operators, again.operators):
        assert a.only.noise == pytest.approx(b.only.noise, rel=1e-3)  # sums of float32, in another order
        assert a.left is None
        assert a.cause == b.cause


def alone(network: Graph, data: Array, name: str, seen: float = 1.0, **settings: Any) -> dict[str, float]:
    """The causes measured for one operator; calibration sees the data times `seen`."""
    prepared = PassManager(PREPARE).run(network)
    quantized = quantize(prepared, calibrate(prepared, [data * np.float32(seen)]), QuantizeSettings(**settings))
    result = measure(prepared, quantized, [(data, np.zeros(len(data), np.int64))], None, left_too=False)
    (found,) = (o for o in result.operators if o.name.startswith(name))
    assert found.cause == max(found.causes, key=lambda cause: found.causes[cause])
    assert found.cause in found.explanation
    return found.causes


def test_cause_range() -> None:
    """A tenth of the values is a hundred times larger: the steps that they need are too coarse for the others."""
    network = random_network(dense(DATA, 6, name="layer"), (-1, 20))
    data = pictures(network, 64, 1)
    data[:, :2] *= 100
    assert alone(network, data, "layer")["range"] > 0.9


def test_cause_clipping() -> None:
    """Values ten times those that calibration saw."""
    network = random_network(dense(relu(dense(DATA, 16, name="first")), 6, name="second"), (-1, 20))
    assert alone(network, pictures(network, 64, 1), "second", seen=0.1)["clipping"] > 0.95


def test_cause_rounding() -> None:
    """An input of 15 bits, and weights of 8 of which one is far larger than the others."""
    weight = np.random.default_rng(3).uniform(0.4, 1.6, (6, 20)).astype(np.float32)
    weight[:, 5] = 200
    network = random_network(dense(DATA, 6, name="layer"), (-1, 20), layer_weight=weight)
    extra = ExtraBits(frozenset({"layer_fullyconnected"}))
    assert alone(network, pictures(network, 64, 1), "layer", input_precision=15, extra=extra)["rounding"] > 0.95


def test_cause_scale_error() -> None:
    """A table that is stepped through too coarsely: a sigmoid of logits in the thousands."""
    network = random_network(sym.sigmoid(dense(DATA, 6, name="layer") * 400, name="gate"), (-1, 20))
    assert alone(network, pictures(network, 64, 1), "gate")["scale error"] > 0.95


def test_an_operator_before_several_outputs() -> None:
    """Outputs that do not depend on an operator lose nothing to it."""
    first = relu(conv(DATA, 4, name="first"))
    network = random_network(sym.Group([dense(first, 3, name="left"), dense(conv(first, 4), 5, name="right")]), PICTURE)
    compiled = compile_network(network)
    result = measured(compiled, compiled.data)
    by_name = {o.name.split("_")[0]: o for o in result.operators}
    ratios = 10 ** (-np.array(signal_to_noise(compiled)) / 10)
    assert by_name["left"].only.noise < ratios[0] / 2 * 1.2
    assert by_name["first"].only.noise > by_name["left"].only.noise
