"""A result that is far from the float network is never silent: what costs it most is named, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import mxnet as mx
import pytest

from mrt import cli
from mrt.report import Report
from mrt.report.loss import notice


def run(project: Path, out: Path, capsys: pytest.CaptureFixture[str], factor: float, *more: str) -> tuple[str, Report]:
    """The digits network with its last layer's weights and bias multiplied; what the run says, and its report."""
    arrays = mx.nd.load(str(project / "data" / "digits-0000.params"))
    arrays = {name: mx.nd.array(array.asnumpy()) for name, array in arrays.items()}
    for name in arrays:
        if "dense" in name:
            arrays[name] = arrays[name] * factor
    mx.nd.save(str(out / "digits-0000.params"), arrays)
    (out / "digits-symbol.json").write_text((project / "data" / "digits-symbol.json").read_text())
    sets = {"DEFAULT.Model_dir": out, "DEFAULT.Output_dir": out, "COMPILATION.Dump_dir": out, "EVALUATION.Iter_num": 1}
    arguments = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    assert cli.main([str(project / "mrt/zoo/digits.ini"), *arguments, *more]) == 0
    said = capsys.readouterr()
    return said.err, Report.model_validate(json.loads((out / "digits.report.json").read_text()))


def first(report: Report) -> float:
    """The first output's SQNR in dB, which must be there."""
    assert report.sqnr_outputs_db and report.sqnr_outputs_db[0] is not None
    return report.sqnr_outputs_db[0]


def test_outputs_that_are_all_but_zero(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, report = run(project, tmp_path, capsys, 1e-22)
    assert "its values are nowhere above" in said
    assert "the integer network is far from the float one" in said
    assert report.costly_layers and first(report) < 1


def test_a_good_run_says_nothing(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, report = run(project, tmp_path, capsys, 1.0)
    assert "far from" not in said and not report.costly_layers
    assert first(report) > 40


def test_the_notice_names_node_and_setting() -> None:
    cost = {"node": "wide", "operator": "Convolution", "sqnr_db": 6.0, "added": 0.2}
    report = Report.model_validate({"model": "m", "sqnr_outputs_db": [30.0, 5.0], "costly_layers": [cost]})
    said = notice(report) or ""
    assert "SQNR 5.0 dB" in said and "node wide (Convolution)" in said and "Precision=auto" in said
    assert notice(Report.model_validate({"model": "m", "sqnr_outputs_db": [10.5, None]})) is None
    auto = report.model_copy(update={"configuration": {"QUANTIZATION": {"Precision": "auto"}}})
    assert "Precision=auto" not in (notice(auto) or "") and "mrt sensitivity" in (notice(auto) or "")
