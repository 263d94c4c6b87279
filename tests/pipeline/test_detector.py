"""A whole run of a detector on Pascal VOC's layout, split in front of its head."""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mrt import pipeline
from mrt.config import load
from mrt.frontends import mxnet as mxnet_files
from mrt.frontends.mxnet import from_symbol
from mrt.report import Progress

CELL, CELLS, SIZE = 8, 4, 32
SHAPE = (-1, 3, SIZE, SIZE)
sym = mx.sym
CONFIGURATION = """
[DEFAULT]
Model_dir={folder}
Model_name=squares
Input_shape=(-1, 3, 32, 32)
[SPLIT_MODEL]
Keys=auto
[CALIBRATION]
Dataset=voc
Dataset_dir={folder}
Batch=4
[EVALUATION]
Batch=3
[COMPILATION]
Batch=1
"""


def write_network(folder: Path) -> None:
    """Finds bright cells: the score of a cell follows from its mean."""
    mean = sym.Convolution(
        sym.Variable("data"), num_filter=1, kernel=(CELL, CELL), stride=(CELL, CELL), no_bias=True, name="mean"
    )
    scores = sym.sigmoid(sym.reshape(mean, shape=(0, -1, 1)) * 4, name="scores")
    nothing = scores * 0
    rows = sym.Concat(nothing + 7, scores, sym.broadcast_add(nothing, sym.Variable("cells", shape=(1, 16, 4))), dim=2)
    kept = sym.contrib.box_nms(rows, valid_thresh=0.5, overlap_thresh=0.5, id_index=0, score_index=1, coord_start=2)
    parts = [sym.slice_axis(kept, axis=2, begin=begin, end=end) for begin, end in ((0, 1), (1, 2), (2, 6))]
    corners = [[CELL * x, CELL * y, CELL * x + 7, CELL * y + 7] for y in range(CELLS) for x in range(CELLS)]
    params = {
        "mean_weight": np.full((1, 3, CELL, CELL), 1 / (3 * CELL**2), np.float32),
        "cells": np.array([corners], np.float32),
    }
    graph = from_symbol(sym.Group(parts), params, {"data": SHAPE})
    mxnet_files.save(graph, folder / "squares-symbol.json", folder / "squares-0000.params")


def write_pictures(folder: Path) -> None:
    """Each picture has one bright cell; the last object is one that can't be seen."""
    year = folder / "voc" / "VOC2007"
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (year / part).mkdir(parents=True)
    names = [f"{i:06}" for i in range(8)]
    for i, name in enumerate(names):
        x, y = CELL * (i % CELLS), CELL * (3 - i // 2)
        pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
        if i < 7:
            pixels[y : y + CELL, x : x + CELL] = 255
        Image.fromarray(pixels).save(year / "JPEGImages" / f"{name}.jpg", quality=100)
        (year / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><object><name>cat</name><difficult>0</difficult><bndbox><xmin>{x + 1}</xmin>"
            f"<ymin>{y + 1}</ymin><xmax>{x + 8}</xmax><ymax>{y + 8}</ymax></bndbox></object></annotation>"
        )
    for split in ("trainval", "test"):
        (year / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))


def test_a_detector_is_judged_by_its_boxes(tmp_path: Path) -> None:
    write_network(tmp_path)
    write_pictures(tmp_path)
    (tmp_path / "squares.ini").write_text(CONFIGURATION.format(folder=tmp_path))
    report = pipeline.run(load(tmp_path / "squares.ini"), Progress(Console(quiet=True)))
    # 7 of 8 objects are found and nothing else: precision 1 at the recalls 0, 0.1, … 0.8
    for executor in ("float", "quantized", "cvm"):
        assert report.accuracy[executor] == pytest.approx({"mAP": 9 / 11})
    assert report.dataset == "voc"
    assert report.agreement is None
    assert report.bit_exact is not None
    assert (report.bit_exact.samples, report.bit_exact.mismatches) == (8, 0)
    base = mxnet_files.load(tmp_path / "squares.base.json", tmp_path / "squares.base.params", {"data": SHAPE})
    assert [value.name for value in base.outputs] == ["scores"]
