"""Box regression undone in integers."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from operator_cases import conv
from toolchain import check, compile_network, random_network

from mrt.errors import MRTError
from mrt.transform import PREPARE, PassManager

sym = mx.sym
STDS = {"std0": 0.1, "std1": 0.1, "std2": 0.2, "std3": 0.2}


def anchors(form: str) -> Any:
    """64 squares and other boxes on a grid of 8x8 cells."""
    y, x = np.meshgrid(np.arange(8.0) / 8, np.arange(8.0) / 8, indexing="ij")
    boxes = np.stack([x, y, 0.1 + x / 2, 0.2 + y / 3], axis=-1).reshape(1, 64, 4)
    if form == "corner":
        boxes[..., 2:] += boxes[..., :2]
    return boxes


@pytest.mark.parametrize("form", ["center", "corner"])
@pytest.mark.parametrize("options", [{}, STDS, {**STDS, "clip": 0.05}])
def test_boxes_are_decoded_in_integers(form: str, options: dict[str, float]) -> None:
    offsets = sym.reshape(sym.transpose(conv(sym.Variable("data"), 4), axes=(0, 2, 3, 1)), shape=(0, -1, 4))
    boxes = sym.contrib.box_decode(offsets, sym.Variable("anchors", shape=(1, 64, 4)), format=form, **options)
    network = random_network(boxes, (-1, 3, 8, 8), anchors=anchors(form))
    check(compile_network(network), bar=35.0)


def test_anchors_may_be_cut_to_the_size_of_the_data() -> None:
    data = sym.Variable("data")
    large = sym.slice_like(sym.Variable("anchors", shape=(1, 1, 10, 32)), conv(data, 1) * 0, axes=(2,))
    offsets = sym.reshape(sym.transpose(conv(data, 4), axes=(0, 2, 3, 1)), shape=(0, -1, 4))
    boxes = sym.contrib.box_decode(offsets, sym.reshape(large, shape=(1, -1, 4)), **STDS)
    grid = np.pad(anchors("center").reshape(1, 1, 8, 32), ((0, 0), (0, 0), (0, 2), (0, 0)))
    compiled = compile_network(random_network(boxes, (-1, 3, 8, 8), anchors=grid))
    check(compiled, bar=35.0)


def test_anchors_must_be_constant() -> None:
    offsets = sym.reshape(conv(sym.Variable("data"), 4), shape=(0, -1, 4))
    with pytest.raises(MRTError, match="the anchors are not constant"):
        PassManager(PREPARE).run(random_network(sym.contrib.box_decode(offsets, offsets), (-1, 3, 8, 8)))
