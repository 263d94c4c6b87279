"""The segmentation network that the project ships, on a few pictures of its dataset: mIoU of float and integers."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cvm
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mrt import pipeline, zoo
from mrt.config import load
from mrt.datasets.seg_digits import SegDigits
from mrt.report import Progress, Report
from mrt.report.page import page
from mrt.report.read import Found
from mrt.report.row import Row


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    SegDigits.compose(folder / "seg_digits", {"train": 32, "val": 24})
    return folder


def run(root: Path, out: Path, *more: str) -> Report:
    sets = [f"CALIBRATION.Dataset_dir={root}", f"DEFAULT.Output_dir={out}", "CALIBRATION.Calibrate_num=1"]
    sets += ["EVALUATION.Batch=12", f"EVALUATION.Dataset_dir={root}", *more]
    return pipeline.run(load(zoo.configuration("seg_digits"), sets), Progress(Console(quiet=True)))


@pytest.fixture(scope="module")
def values(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """The folder and the report of a run as it is configured."""
    out = tmp_path_factory.mktemp("values")
    return out, run(root, out)


def test_miou_of_float_and_integers(values: tuple[Path, Report]) -> None:
    _, report = values
    assert report.bit_exact is not None
    assert (report.bit_exact.samples, report.bit_exact.mismatches) == (24, 0)
    found, integer = report.accuracy["float"], report.accuracy["cvm"]
    assert found["mIoU"] > 0.6 and found["pixel accuracy"] > 0.93
    assert abs(found["mIoU"] - integer["mIoU"]) < 0.02
    low, high = report.intervals["mIoU"]
    assert low < integer["mIoU"] < high
    low, high = report.loss_intervals["mIoU"]
    assert low <= found["mIoU"] - integer["mIoU"] <= high and high - low < 0.02
    data = report.spreads[0]
    assert data.tensor == "data" and abs(data.low - data.first) < 0.1 and abs(data.high - data.last) < 0.1, "of pixels"
    assert report.agreement_per_pixel and report.agreement is not None and report.agreement > 0.98
    assert report.agreement_map_iou is not None and report.agreement_map_iou > 0.9
    assert report.sqnr_db is not None and report.sqnr_db > 30


def test_with_argmax_the_map_leaves_and_is_the_same(root: Path, values: tuple[Path, Report], tmp_path: Path) -> None:
    folder, before = values
    report = run(root, tmp_path, "QUANTIZATION.Output=argmax")
    assert report.accuracy == before.accuracy and report.agreement == before.agreement
    assert report.bit_exact is not None and report.bit_exact.mismatches == 0 and report.sqnr_db is None
    model, scores = (cvm.load(each / "seg_digits_cvm") for each in (tmp_path, folder))
    x = np.load(tmp_path / "seg_digits_cvm" / "data.npy")
    found = model(x)
    assert found.shape == (1, 64, 64) and found.dtype == np.int8
    np.testing.assert_array_equal(found, scores(x).argmax(axis=1))
    picture = next((root / "seg_digits" / "VOC2012" / "JPEGImages").iterdir())
    shares = model.predict(picture)
    assert shares[0].label == "background" and 0.9 < sum(each.score for each in shares) <= 1


def test_the_page_shows_maps_side_by_side(values: tuple[Path, Report]) -> None:
    example = values[1].examples[0]
    assert "alike" in example.integer and "background" in example.float_
    maps = []
    for encoded in (example.truth_picture, example.float_picture, example.integer_picture):
        assert encoded is not None
        maps.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))))
    assert (maps[1] == maps[2]).mean() > 0.97 and (maps[0] == maps[1]).mean() > 0.8
    shown = page([Row(Found("seg_digits", values[0], values[1]))])
    assert 'class="examples beside"' in shown
    for what in ("input", "mask", "float", "integers"):
        assert f'alt="{what}, ' in shown
