"""Whole runs through the command line: files, report, resuming, overrides, splitting, damage."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cvm
import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from cvm.package import load_package

from mrt import cli
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.integer.tensor_info import TensorInfo, quantize_input

STAGES = ("PREPARE", "CALIBRATION", "QUANTIZATION")
MODEL_FILES = ("symbol", "params", "ext.json", "data.npy", "manifest.json", "certificate.json", "certificate.txt")


@pytest.fixture(autouse=True, scope="module")
def _logging_as_before() -> Iterator[None]:
    logger = logging.getLogger("mrt")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def arguments(project: Path, out: Path, *more: str) -> list[str]:
    """The shipped digits configuration, writing elsewhere, on a part of the pictures."""
    settings = {
        "DEFAULT.Model_dir": project / "data",
        "DEFAULT.Output_dir": out,
        "COMPILATION.Dump_dir": out,
        "EVALUATION.Iter_num": "2",
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [str(project / "mrt/zoo/digits.ini"), *sets, *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in MODEL_FILES}


@pytest.fixture(scope="module")
def finished(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a whole run of digits leaves."""
    out = tmp_path_factory.mktemp("digits")
    assert cli.main(arguments(project, out)) == 0
    return out


def test_a_run_leaves_model_checkpoints_and_report(finished: Path) -> None:
    assert {path.name for path in (finished / "digits_cvm").iterdir()} == set(MODEL_FILES)
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "digits_cvm", "digits.report.json", "digits.report.md", "digits.calibration.json",
        "digits.quantize.scales.json",
        *(f"digits.{s}.origin.json" for s in ("prepare", "calibration", "quantize")),
        *(f"digits.{s}.{kind}" for s in ("prepare", "quantize") for kind in ("json", "params", "inputs.json")),
    }  # fmt: skip


def test_the_report_says_what_was_measured(finished: Path) -> None:
    report = json.loads((finished / "digits.report.json").read_text())
    assert report["model"] == "digits"
    assert report["samples"] == 200
    assert report["iterations"] == 2
    for name in ("float", "quantized", "cvm"):
        assert report["accuracy"][name]["top1"] >= 0.97
    assert report["accuracy"]["quantized"] == report["accuracy"]["cvm"]
    assert report["bit_exact"] == {"samples": 200, "mismatches": 0}
    assert report["agreement"] >= 0.99
    assert report["sqnr_db"] >= 30
    assert report["certificate"]["ok"] is True
    assert report["size_bytes"]["cvm"] == sum(
        (finished / "digits_cvm" / n).stat().st_size for n in ("symbol", "params")
    )
    assert {"load", "prepare", "calibrate", "quantize", "compile", "evaluate"} <= set(report["seconds"])
    assert report["configuration"]["DEFAULT"]["Model_name"] == "digits"
    assert report["peak_memory_bytes"] > 1e7
    assert {"mrt", "cvm", "python", "mxnet", "numpy"} <= set(report["versions"])
    assert "| digits " in (finished / "digits.report.md").read_text()


def test_the_compiled_model_computes_what_the_float_network_does(project: Path, finished: Path) -> None:
    package = load_package(finished / "digits_cvm")
    assert package.model.operations == 1_121_078  # what the reference counts
    extension = json.loads((finished / "digits_cvm" / "ext.json").read_text())
    sample = np.load(finished / "digits_cvm" / "data.npy")
    assert sample.dtype == np.int8
    (integers,) = formal.run(package.model, sample)
    (output,) = extension["outputs"]
    real = (integers + output["offset"]) * output["scale_float"]
    network = mxnet_files.load(
        project / "data" / "digits-symbol.json", project / "data" / "digits-0000.params", {"data": (-1, 1, 8, 8)}
    )
    entry = extension["inputs"][0]
    pixels = sample.astype(np.float32) + entry["offset"]
    (expected,) = Executor(network)((pixels - float(entry["zero"][0])) * entry["scale_float"][0])
    assert np.abs(real - expected).max() < 0.05 * np.abs(expected).max()
    assert extension["labels"] == [str(digit) for digit in range(10)]


@pytest.mark.filterwarnings("ignore:input .data.")  # it saturates on purpose
def test_inputs_are_quantized_as_the_runtime_does_it(finished: Path) -> None:
    model = cvm.load(finished / "digits_cvm")
    info = TensorInfo.from_json(json.loads((finished / "digits.quantize.scales.json").read_text())["inputs"][0])
    halves = (np.arange(-300, 300) + 0.5).repeat(2).reshape(-1, 1, 1, 1) * np.ones((1, 1, 8, 8)) * float(info.scale)
    data = (halves + np.random.default_rng(0).normal(0, 1e-3, halves.shape)).astype(np.float32)
    for real in (halves, data):
        assert np.array_equal(model.quantize_input(real), quantize_input(real, info))


def test_checkpoints_open_in_mxnet_and_agree_with_the_model(finished: Path) -> None:
    symbol = mx.sym.load(str(finished / "digits.quantize.json"))
    assert "data" in symbol.list_inputs()
    graph = mxnet_files.load(
        finished / "digits.quantize.json", finished / "digits.quantize.params", {"data": (-1, 1, 8, 8)}
    )
    data = np.random.default_rng(0).integers(-127, 128, (3, 1, 8, 8)).astype(np.int32)
    (expected,) = Executor(graph, dtype="float64")(data)
    (found,) = formal.run(load_package(finished / "digits_cvm").model, data)
    np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("stage", STAGES)
def test_resuming_gives_the_same_model(project: Path, finished: Path, stage: str, tmp_path: Path) -> None:
    before = contents(finished / "digits_cvm")
    more = ("--start", stage, "--set", f"COMPILATION.Dump_dir={tmp_path}", "--set", "EVALUATION.Iter_num=1")
    assert cli.main(arguments(project, finished, *more)) == 0
    assert contents(tmp_path / "digits_cvm") == before


def test_a_second_run_gives_the_same_bytes(project: Path, finished: Path, tmp_path: Path) -> None:
    assert cli.main(arguments(project, tmp_path, "--set", "EVALUATION.Iter_num=1")) == 0
    assert contents(tmp_path / "digits_cvm") == contents(finished / "digits_cvm")


def test_settings_reach_the_model(project: Path, tmp_path: Path) -> None:
    more = ["QUANTIZATION.Input_precision=6", "QUANTIZATION.Output_precision=8", "COMPILATION.Batch=3",
            "QUANTIZATION.Dump=False", "EVALUATION.Iter_num=0"]  # fmt: skip
    sets = [part for value in more for part in ("--set", value)]
    assert cli.main(arguments(project, tmp_path, *sets)) == 0
    model = load_package(tmp_path / "digits_cvm").model
    assert model.precisions["data"] == 6
    assert model.input_shape == (3, 1, 8, 8)
    extension = json.loads((tmp_path / "digits_cvm" / "ext.json").read_text())
    assert extension["outputs"][0]["precision"] <= 8
    assert np.load(tmp_path / "digits_cvm" / "data.npy").shape == (3, 1, 8, 8)
    assert not (tmp_path / "digits.quantize.json").exists()
    assert json.loads((tmp_path / "digits.report.json").read_text())["samples"] in (0, None)


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line that a refused run prints."""
    capsys.readouterr()
    assert cli.main(list(options)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mrt: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("stage", "setting", "said"),
    [
        ("PREPARE", "PREPARE.Equalize=False", "[PREPARE] Equalize was True, is False"),
        ("CALIBRATION", "CALIBRATION.Calibrate_num=1", "the calibration data was"),
        ("QUANTIZATION", "CALIBRATION.Calibrator=entropy", "[CALIBRATION] Calibrator was mse, is entropy"),
        ("QUANTIZATION", "QUANTIZATION.Input_precision=7", "[QUANTIZATION] Input_precision was 8, is 7"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(
    project: Path, finished: Path, stage: str, setting: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--start", stage, "--set", setting)
    assert said in refused(capsys, *arguments(project, finished, *more))


def test_a_checkpoint_of_settings_that_come_later_is_taken(project: Path, finished: Path, tmp_path: Path) -> None:
    for path in finished.glob("digits.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    more = ("--start", "CALIBRATION", "--set", "QUANTIZATION.Input_precision=7", "--set", "EVALUATION.Iter_num=0")
    assert cli.main(arguments(project, tmp_path, *more)) == 0
    assert load_package(tmp_path / "digits_cvm").model.precisions["data"] == 7


def test_a_checkpoint_of_other_weights_is_refused(
    project: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in finished.glob("digits.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    network = mxnet_files.load(
        project / "data/digits-symbol.json", project / "data/digits-0000.params", {"data": (-1, 1, 8, 8)}
    )
    params = {name: array * np.float32(1.5) for name, array in network.params.items()}
    mxnet_files.save(replace(network, params=params), tmp_path / "digits-symbol.json", tmp_path / "digits-0000.params")
    more = ("--start", "CALIBRATION", "--set", f"DEFAULT.Model_dir={tmp_path}")
    assert "the network's files was" in refused(capsys, *arguments(project, tmp_path, *more))


@pytest.mark.parametrize("stage", STAGES)
def test_resuming_without_checkpoint_is_refused(
    project: Path, stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *arguments(project, tmp_path, "--start", stage))
    assert "no such checkpoint" in line
    assert str(tmp_path / "digits.prepare") in line


@pytest.mark.parametrize(
    "name",
    ["prepare.json", "prepare.params", "prepare.inputs.json", "calibration.json", "quantize.json", "quantize.params",
     "quantize.inputs.json", "quantize.scales.json"],
)  # fmt: skip
@pytest.mark.parametrize("kept", [0.0, 0.6])
def test_a_damaged_checkpoint_is_named(
    project: Path, finished: Path, name: str, kept: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in finished.glob("digits.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = tmp_path / f"digits.{name}"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: int(len(whole) * kept)])
    stage = "CALIBRATION" if name.startswith("calibration") else "QUANTIZATION"
    assert str(damaged) in refused(capsys, *arguments(project, tmp_path, "--start", stage))


def test_an_interrupted_run_leaves_the_checkpoints_before_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mrt.run import quantize

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quantize, "quantize", interrupt)
    assert cli.main(arguments(project, tmp_path)) not in (0, 2)
    monkeypatch.undo()
    assert not (tmp_path / "digits_cvm").exists()
    assert cli.main(arguments(project, tmp_path, "--start", "CALIBRATION", "--set", "EVALUATION.Iter_num=0")) == 0
    assert (tmp_path / "digits_cvm" / "symbol").is_file()


def test_a_network_that_is_not_there_is_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *arguments(project, tmp_path, "--set", "DEFAULT.Model_name=no_such_network"))
    assert "model no_such_network: neither" in line and line.endswith("check Model_dir and Model_name")
    assert str(project / "data" / "no_such_network.json") in line


def test_a_threshold_for_an_unknown_node_is_refused_but_not_for_rewritten_ones(
    project: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *arguments(project, tmp_path, "--set", "QUANTIZATION.Thresholds=nobody: 2"))
    assert "[QUANTIZATION] Thresholds: the network has no node nobody" in line
    more = ("--set", "QUANTIZATION.Thresholds=mrt_rewrite_0: 2", "--set", "EVALUATION.Iter_num=0")
    assert cli.main(arguments(project, tmp_path, *more)) == 0
    assert "mrt_rewrite_0" in capsys.readouterr().err
    assert contents(tmp_path / "digits_cvm")["params"] == contents(finished / "digits_cvm")["params"]


def layers(project: Path) -> list[str]:
    symbol = json.loads((project / "data" / "digits-symbol.json").read_text())
    return [node["name"] for node in symbol["nodes"] if node["op"] in ("Convolution", "FullyConnected", "Pooling")]


def test_a_split_network_is_quantized_up_to_the_keys_and_merged(project: Path, tmp_path: Path) -> None:
    key = layers(project)[-2]
    more = ("--set", f"SPLIT_MODEL.Keys={key}")
    assert cli.main(arguments(project, tmp_path, *more)) == 0
    report = json.loads((tmp_path / "digits.report.json").read_text())
    assert report["accuracy"]["cvm"]["top1"] >= 0.97
    assert report["bit_exact"]["mismatches"] == 0
    extension = json.loads((tmp_path / "digits_cvm" / "ext.json").read_text())
    model = load_package(tmp_path / "digits_cvm").model
    (output,) = extension["outputs"]
    assert output["name"] == key
    merged = mxnet_files.load(tmp_path / "digits.merge.json", tmp_path / "digits.merge.params", {"data": (-1, 1, 8, 8)})
    top = mxnet_files.load(tmp_path / "digits.top.json", tmp_path / "digits.top.params", {key: tuple(output["shape"])})
    data = np.random.default_rng(0).integers(-127, 128, (3, 1, 8, 8)).astype(np.int32)
    (integers,) = formal.run(model, data)
    (expected,) = Executor(top)((integers + output["offset"]) * output["scale_float"])
    (found,) = Executor(merged)(data)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    before = contents(tmp_path / "digits_cvm")
    for stage in ("SPLIT_MODEL", "MERGE_MODEL"):
        assert cli.main(arguments(project, tmp_path, *more, "--start", stage)) == 0
        assert contents(tmp_path / "digits_cvm") == before


def test_keys_that_do_not_cut_are_refused(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def with_keys(keys: str) -> str:
        return refused(capsys, *arguments(project, tmp_path, "--set", f"SPLIT_MODEL.Keys={keys}"))

    assert "[SPLIT_MODEL] Keys: the network has no node nobody" in with_keys("nobody")
    assert "[SPLIT_MODEL] Keys: data is a variable" in with_keys("data")


def test_merge_maps_must_name_keys(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = layers(project)[-2]
    options = ["--set", f"SPLIT_MODEL.Keys={key}", "--set", "MERGE_MODEL.Oscale_maps=out: nobody"]
    assert f"[MERGE_MODEL] Oscale_maps: out: nobody is not one of the keys ({key})" in refused(
        capsys, *arguments(project, tmp_path, *options)
    )


def test_pixels_are_the_input_unless_its_range_is_given(project: Path, tmp_path: Path) -> None:
    def described(*more: str) -> dict[str, Any]:
        sets = [part for value in (*more, "EVALUATION.Iter_num=0") for part in ("--set", value)]
        assert cli.main(arguments(project, tmp_path, *sets)) == 0
        entry: dict[str, Any] = json.loads((tmp_path / "digits_cvm" / "ext.json").read_text())["inputs"][0]
        return entry

    for calibrator in ("CALIBRATION.Calibrator=absmax", "CALIBRATION.Lambda=1"):
        pixels = described(calibrator)
        assert (pixels["scale"], pixels["zero"], pixels["precision"]) == (["1/16"], ["0"], 8), "as Digits has them"
        everything = np.arange(17, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 1, 8, 8), np.uint8)
        model = cvm.load(tmp_path / "digits_cvm")
        assert np.array_equal(model.quantize_input(everything) + pixels["offset"], everything)
        assert np.array_equal(model(everything), model(model.quantize_input(everything / np.float32(16))))
    narrowed = described("CALIBRATION.Calibrators=data: lambda", "CALIBRATION.Lambda=1")["scale_float"]
    assert "zero" not in described("CALIBRATION.Calibrators=data: absmax")
    assert narrowed < 0.9 / 127
    assert described("QUANTIZATION.Thresholds=data: 0.5")["scale_float"] == pytest.approx(0.5 / 127, rel=1e-6)


def test_the_native_runtime_or_its_absence_is_reported(finished: Path) -> None:
    try:
        native = cvm.load(finished / "digits_cvm")
    except cvm.CVMError:
        pytest.skip("the native runtime is not built here")
    data = np.random.default_rng(0).integers(-127, 128, (1, 1, 8, 8)).astype(np.int32)
    (expected,) = formal.run(load_package(finished / "digits_cvm").model, data)
    found = native(data)
    np.testing.assert_array_equal(found[0] if isinstance(found, (tuple, list)) else found, expected)
