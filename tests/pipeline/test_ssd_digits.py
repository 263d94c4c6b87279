"""The detector that the project ships, on a few pictures of its dataset: integers down to the boxes."""

from __future__ import annotations

from pathlib import Path

import cvm
import numpy as np
import pytest
from rich.console import Console

from mrt import pipeline, zoo
from mrt.config import load
from mrt.datasets.voc_digits import VOCDigits
from mrt.report import Progress


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    VOCDigits.compose(folder / "voc_digits", {"trainval": 16, "test": 24})
    return folder


def test_the_whole_detector_is_integers(root: Path, tmp_path: Path) -> None:
    sets = [f"CALIBRATION.Dataset_dir={root}", f"DEFAULT.Output_dir={tmp_path}", "CALIBRATION.Batch=16"]
    sets += ["CALIBRATION.Calibrate_num=1", "EVALUATION.Batch=12", f"EVALUATION.Dataset_dir={root}"]
    config = load(zoo.configuration("ssd_digits"), sets)
    assert not config.split_model.keys
    report = pipeline.run(config, Progress(Console(quiet=True)))
    assert report.bit_exact is not None
    assert (report.bit_exact.samples, report.bit_exact.mismatches) == (24, 0)
    scores = {executor: metrics["mAP"] for executor, metrics in report.accuracy.items()}
    assert scores["float"] > 0.75
    assert abs(scores["cvm"] - scores["float"]) < 0.05
    assert scores["cvm"] == scores["quantized"]
    assert report.sqnr_db is None  # of two boxes with like scores, either may come first
    model = cvm.load(tmp_path / "ssd_digits_cvm")
    numbers, marks, corners = model(np.load(tmp_path / "ssd_digits_cvm" / "data.npy"))
    assert [array.shape for array in (numbers, marks, corners)] == [(1, 100, 1), (1, 100, 1), (1, 100, 4)]
    assert (np.diff(marks[0, :, 0].astype(int)) <= 0).all()
    absent = numbers[0, :, 0] == -1
    assert absent.any() and (marks[0, absent] == -1).all() and (corners[0, absent] == -1).all()
