"""`Precision=auto`: bits where they buy most, within the budget, exact and certified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm.certificate import certify
from operator_cases import conv, dense, relu
from test_networks import PICTURE, resnet
from toolchain import CALIBRATION, Compiled, check_bit_exact, compile_network, pictures, random_network

from mrt import cli
from mrt.analysis.precision import Candidate, choose, extra_bits, widen
from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.gather import gather
from mrt.graph import Array, Graph
from mrt.integer.form import ExtraBits
from mrt.quantizer.quantize import Quantized, QuantizeSettings, quantize
from mrt.recipe import Recipe
from mrt.report.precision import PrecisionGain
from mrt.targets.cvm.compiler import compile_model

sym = mx.sym


def candidate(layer: str, removes: float, costs: int, weights: bool = False) -> Candidate:
    return Candidate(layer, weights, removes, costs)


def test_what_removes_most_for_its_cost_comes_first() -> None:
    dear, cheap, useless = candidate("dear", 0.5, 100), candidate("cheap", 0.3, 10), candidate("useless", 1e-6, 1)
    everything = [dear, cheap, useless]
    assert choose(everything, 1.0, 1000, 0.0) == [cheap, dear], "what removes nothing isn't worth its cost"
    assert choose(everything, 1.0, 1000, 0.75) == [cheap], "the target is met"
    assert choose(everything, 1.0, 1000, 0.65) == [cheap, dear]
    assert choose(everything, 1.0, 109, 0.0) == [cheap], "the budget is spent"
    assert choose(everything, 1.0, 9, 0.0) == []
    assert choose([], 1.0, 9, 0.0) == []
    both = [candidate("a", 0.5, 1), candidate("a", 0.4, 1, weights=True), candidate("b", 0.3, 1, weights=True)]
    assert extra_bits(both) == ExtraBits(frozenset("a"), frozenset("ab"))


def outliers(seed: int = 0) -> Graph:
    """A depthwise layer that reads channels of wildly different ranges: one step for all of them loses the small."""
    x = conv(sym.Variable("data"), 8, name="before")
    x = relu(conv(relu(x), 8, num_group=8, name="depthwise"))
    network = random_network(dense(conv(x, 8, name="after"), 5, name="head"), PICTURE, seed=seed)
    spread = (4.0 ** np.arange(8)).astype(np.float32) / 64
    params = dict(network.params)
    params["before_weight"] = params["before_weight"] * spread[:, None, None, None]
    params["before_bias"] = params["before_bias"] * spread
    params["depthwise_weight"] = params["depthwise_weight"] / spread[:, None, None, None]
    return Graph(network.outputs, params, network.inputs)


def widened(network: Graph, target: float | None, budget: float) -> tuple[Quantized, PrecisionGain, Array, Graph]:
    compiled = compile_network(network, Recipe(equalize=False, precision="8"))  # which would mend it beforehand
    data = pictures(network, CALIBRATION, 2)
    statistics, moments = calibrate(compiled.prepared, [data]), gather(compiled.prepared, [data])

    def requantize(extra: ExtraBits) -> Quantized:
        return quantize(compiled.prepared, statistics, QuantizeSettings(extra=extra), moments)

    batches = [(data[:32], np.zeros(32, np.int64))]
    result, gain = widen(compiled.prepared, compiled.quantized, requantize, batches, target, budget)
    return result, gain, data, compiled.prepared


def test_the_layer_that_loses_is_the_one_that_is_widened() -> None:
    network = outliers()
    quantized, gain, data, prepared = widened(network, None, 0.3)
    assert gain.layers[0].name == "depthwise"
    assert gain.layers[0].input
    assert gain.after.sqnr_db > gain.before.sqnr_db + 6
    assert sum(layer.costs for layer in gain.layers) <= 0.3
    model = compile_model(quantized)
    certificate = certify(model)
    assert certificate.ok, certificate.verdict()
    check_bit_exact(Compiled(network, prepared, quantized, model, certificate, data[:16]))


def test_it_stops_at_the_target() -> None:
    network = random_network(resnet(sym.Variable("data")), PICTURE)
    everything = widened(network, None, 2.0)[1]
    halfway = (everything.before.sqnr_db + everything.after.sqnr_db) / 2
    some = widened(network, halfway, 2.0)[1]
    assert halfway <= some.after.sqnr_db < everything.after.sqnr_db
    assert len(some.layers) < len(everything.layers)


def test_a_target_that_is_met_already_costs_nothing() -> None:
    quantized, gain, *_ = widened(outliers(), 1.0, 2.0)
    assert gain.layers == []
    assert gain.before == gain.after
    products = [node for node in quantized.graph.nodes() if node.target_op in ("conv2d", "dense")]
    assert len(products) == 4, "each layer once: none reads or has 16 bits"


def digits(project: Path, folder: Path, *more: str) -> list[str]:
    settings = {
        "DEFAULT.Model_dir": project / "data",
        "DEFAULT.Output_dir": folder,
        "COMPILATION.Dump_dir": folder,
        "QUANTIZATION.Precision": "auto",
        "QUANTIZATION.Precision_budget": "1",
        "EVALUATION.Iter_num": "1",
    }
    pairs = [f"{key}={value}" for key, value in settings.items()] + list(more)
    return [str(project / "mrt" / "zoo" / "digits.ini"), *(part for pair in pairs for part in ("--set", pair))]


def test_in_the_pipeline(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(digits(project, tmp_path)) == 0
    assert "more bits" in capsys.readouterr().out
    assert "Precision=auto on 32 calibration pictures: SQNR " in (tmp_path / "digits.report.md").read_text()
    report: dict[str, Any] = json.loads((tmp_path / "digits.report.json").read_text())
    gain = report["precision"]
    assert gain["layers"]
    assert gain["after"]["noise"] < gain["before"]["noise"]
    assert "digits_conv0_fwd" not in {layer["name"] for layer in gain["layers"] if layer["input"]}, "8 bits is all"
    assert report["bit_exact"]["mismatches"] == 0
    assert report["bit_exact"]["samples"] > 0
    assert report["certificate"]["ok"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("QUANTIZATION.Precision=most", "default, auto or 8"),
        ("QUANTIZATION.Precision_budget=0", "above 0"),
        ("QUANTIZATION.Precision_target=-3", "above 0"),
        ("QUANTIZATION.Restore_name=digits_conv0_fwd", "[QUANTIZATION] precision auto cannot go with restore_name"),
    ],
)
def test_bad_settings_are_one_line(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, message: str
) -> None:
    assert cli.main(digits(project, tmp_path, setting)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())
