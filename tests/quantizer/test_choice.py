"""The automatic choice of calibrators, against what each costs at the layers' outputs, computed here."""

from __future__ import annotations

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from toolchain import pictures, random_network

import mrt
from mrt.analysis.agreement import Agreement
from mrt.analysis.held_out import prefers
from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.coverage import Coverage
from mrt.calibrate.thresholds import CALIBRATORS
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph, Value
from mrt.graph.batch import Samples
from mrt.quantizer.annotate import annotate
from mrt.quantizer.choice import choose_calibrators
from mrt.quantizer.quantize import QuantizeSettings, quantize
from mrt.statistics.tensor import Statistics
from mrt.transform import PREPARE, PassManager

sym = mx.sym
SETTINGS = QuantizeSettings()


def dense(x: object, name: str, units: int = 12) -> object:
    return sym.FullyConnected(x, num_hidden=units, name=name)


@pytest.fixture(scope="module")
def network() -> Graph:
    """Layers that read tensors with and without outliers, two of them joined to one tensor."""
    data = sym.Variable("data")
    first = sym.Activation(dense(data, "a"), act_type="relu", name="relu_a")
    second = sym.tanh(dense(first, "b"), name="tanh_b")
    third = sym.Activation(dense(first, "c"), act_type="relu", name="relu_c")
    joined = sym.Concat(third, sym.Activation(dense(data, "d"), act_type="relu", name="relu_d"), dim=1)
    return PassManager(PREPARE).run(random_network(sym.Concat(dense(joined, "e"), dense(second, "f")), (-1, 16)))


@pytest.fixture(scope="module")
def data(network: Graph) -> Array:
    shape = pictures(network, 4000, 0).shape
    return np.random.default_rng(0).standard_t(3, shape).astype(np.float32)  # far outliers: how many to keep?


@pytest.fixture(scope="module")
def statistics(network: Graph, data: Array) -> dict[str, Statistics]:
    return calibrate(network, [data])


def total_cost(network: Graph, statistics: dict[str, Statistics], data: Array, coverage: Coverage) -> float:
    annotation = annotate(network, statistics, coverage)
    layers = [node for node in network.nodes() if node.op == "FullyConnected"]
    cost = 0.0
    for layer, x in zip(layers, Executor(network, [layer.inputs[0] for layer in layers])(data)):
        if layer.inputs[0].node.name == "data":
            scale, offset = float(annotation.inputs[layer.inputs[0]].scale), 0
        else:
            target = annotation.narrow(layer.inputs[0])
            scale, offset = float(target.scale), target.offset
        quantized = (np.clip(np.rint(x / scale) - offset, -127, 127) + offset) * scale
        weight = network.params[layer.inputs[1].node.name]
        cost += float(np.square((quantized - x) @ weight.T).sum() / np.square(x @ weight.T).sum())
    return cost


def test_no_single_calibrator_costs_less(network: Graph, statistics: dict[str, Statistics], data: Array) -> None:
    chosen = choose_calibrators(network, statistics, SETTINGS, [data[:1500], data[1500:]])
    assert set(chosen.values()) <= set(CALIBRATORS)
    automatic = total_cost(network, statistics, data, SETTINGS.coverage.otherwise("mse", chosen))
    single = {name: total_cost(network, statistics, data, Coverage(name)) for name in CALIBRATORS}
    assert automatic <= min(single.values()) * (1 + 1e-5)
    assert automatic < 0.9 * max(single.values())
    assert len(set(chosen.values())) > 1, "this network is made so that no calibrator is best everywhere"


def test_the_same_data_gives_the_same_choice(network: Graph, statistics: dict[str, Statistics], data: Array) -> None:
    first, second = (choose_calibrators(network, statistics, SETTINGS, [data]) for _ in range(2))
    assert first == second


def test_tensors_of_which_something_was_said_are_left_alone(
    network: Graph, statistics: dict[str, Statistics], data: Array
) -> None:
    free = choose_calibrators(network, statistics, SETTINGS, [data])
    said = replace(SETTINGS, coverage=Coverage("mse", {"relu_a": "absmax"}, {"data": 1.0}, lambda_=3.0))
    chosen = choose_calibrators(network, statistics, said, [data])
    assert {"relu_a", "data"} <= set(free)
    assert not {"relu_a", "data"} & set(chosen)


def test_the_choice_can_be_quantized_with(network: Graph, statistics: dict[str, Statistics], data: Array) -> None:
    chosen = choose_calibrators(network, statistics, SETTINGS, [data])
    coverage = SETTINGS.coverage.otherwise("mse", chosen)
    stored = quantize(network, statistics, replace(SETTINGS, coverage=coverage)).stored
    annotation = annotate(network, statistics, coverage)
    (relu,) = (node for node in network.nodes() if node.name == "relu_a")
    assert stored[Value(relu)].scale == annotation.narrow(Value(relu)).scale


def test_a_choice_that_does_worse_on_held_out_pictures_is_not_taken(
    network: Graph, data: Array, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever calibrators were chosen by: here, all are the worst that there is."""
    few = data[:64]
    plain = mrt.quantize(network, few, recipe=mrt.Recipe(precision="8"))

    def worst(graph: Graph, *_: object) -> dict[str, str]:
        return {Value(node).name: "lambda" for node in graph.nodes()}

    monkeypatch.setattr("mrt.run.quantize.choose_calibrators", worst)
    guarded = mrt.quantize(network, few, recipe=mrt.Recipe(precision="8", calibrator="auto", lambda_=0.1))
    assert np.array_equal(guarded(few), plain(few))
    assert (
        "calibrator auto does worse than mse on 16 held-out pictures" in caplog.text and "mse is taken" in caplog.text
    )


def test_what_is_held_against_each_other_is_classes_first() -> None:
    def agreement(right: int, noise: float) -> Agreement:
        found = Agreement()
        scores = np.eye(10)
        others = scores + noise * np.eye(10)
        others[right:] = np.roll(others[right:], 1, axis=1)
        found.add(10, [scores], [others])
        return found

    assert prefers(agreement(9, 0.5), agreement(8, 0.0))
    assert not prefers(agreement(8, 0.0), agreement(9, 0.5))
    assert prefers(agreement(9, 0.1), agreement(9, 0.2)) and not prefers(agreement(9, 0.2), agreement(9, 0.1))


def test_the_last_samples_of_batches_are_the_held_out_ones(data: Array) -> None:
    parts = Samples({"data": (-1, 16)}).last(iter([data[:5], data[5:8], data[8:12]]), 6, 12)
    assert np.array_equal(np.concatenate(list(parts)), data[6:12])
