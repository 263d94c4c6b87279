"""A network of several outputs that are no class scores, as in a cascade of detectors: measured all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mxnet as mx
import pytest

from mrt import cli

sym = mx.sym
CONFIGURATION = """[DEFAULT]
Model_dir={folder}
Output_dir={folder}/out
Model_name=cascade
Input_shape=(-1, 1, 8, 8)
[CALIBRATION]
Dataset=digits
Batch=50
[EVALUATION]
Batch=50
Iter_num=2
[COMPILATION]
"""


def save(symbol: Any, folder: Path) -> Path:
    """Seeded weights and a configuration."""
    mx.random.seed(3)
    shapes, _, _ = symbol.infer_shape(data=(1, 1, 8, 8))
    params = dict(zip(symbol.list_arguments(), shapes))
    mx.nd.save(
        str(folder / "cascade-0000.params"),
        {f"arg:{name}": mx.nd.random.normal(0, 0.3, shape) for name, shape in params.items() if name != "data"},
    )
    symbol.save(str(folder / "cascade-symbol.json"))
    (folder / "cascade.ini").write_text(CONFIGURATION.format(folder=folder))
    return folder / "cascade.ini"


def cascade(classes: int) -> Any:
    body = sym.LeakyReLU(sym.Convolution(sym.var("data"), num_filter=8, kernel=(3, 3)), act_type="prelu")
    body = sym.Pooling(body, kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full")
    return sym.FullyConnected(body, num_hidden=classes), sym.FullyConnected(body, num_hidden=4)


def test_outputs_that_are_no_scores_leave_out_accuracy_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face, box = cascade(2)
    configuration = save(sym.Group([sym.softmax(face), box]), tmp_path)
    assert cli.main([str(configuration)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "accuracy is left out: labels from 0 to 9, but 2 outputs" in said
    report = json.loads((tmp_path / "out" / "cascade.report.json").read_text())
    assert report["accuracy"] == {}
    assert "2 outputs" in report["no_accuracy"]
    assert report["bit_exact"] == {"samples": 100, "mismatches": 0}
    assert len(report["sqnr_outputs_db"]) == 2
    assert min(report["sqnr_outputs_db"]) > 25


def test_of_several_outputs_the_first_may_be_scores(tmp_path: Path) -> None:
    configuration = save(sym.Group(list(cascade(10))), tmp_path)
    assert cli.main([str(configuration)]) == 0
    report = json.loads((tmp_path / "out" / "cascade.report.json").read_text())
    assert report["accuracy"]["quantized"] == report["accuracy"]["cvm"]
    assert set(report["accuracy"]["float"]) >= {"top1"}


def test_a_metric_asked_for_must_suit_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([str(save(cascade(2)[0], tmp_path)), "--set", "EVALUATION.Metric=top-1"]) == 2
    assert "metric top-1: labels" in (said := " ".join(capsys.readouterr().err.split())) and "Label_offset" in said
    assert not list((tmp_path / "out").glob("*"))
