"""Splitting in front of the detection head, at keys that are found."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from detectors import detector, pictures
from toolchain import random_network

from mrt.calibrate.calibrator import calibrate
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import quantize
from mrt.run.keys import find_keys, split_as_configured
from mrt.run.seeded import structural_network
from mrt.run.split import Split, split
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, FixShapes, PassManager

sym = mx.sym
DATA = sym.Variable("data")


def conv(x: Any, name: str, channels: int = 4) -> Any:
    return sym.Convolution(x, num_filter=channels, kernel=(3, 3), pad=(1, 1), name=name)


def keys_of(symbol: Any) -> tuple[str, ...]:
    return find_keys(FixShapes().run(random_network(symbol, (-1, 3, 8, 8))))


def detections(class_numbers: Any, scores: Any, corners: Any) -> Any:
    joined = sym.Concat(class_numbers, scores, corners, dim=-1)
    return sym.contrib.box_nms(joined, id_index=0, score_index=1, coord_start=2)


def boxes(x: Any, name: str = "head") -> Any:
    """(N, 64, 6)"""
    return sym.reshape(sym.transpose(conv(x, name, 6), axes=(0, 2, 3, 1)), shape=(0, -1, 6))


def test_parts_of_different_units_are_keys_of_their_own() -> None:
    part = boxes(DATA)
    scores = sym.sigmoid(sym.slice_axis(part, axis=2, begin=1, end=2), name="scores")
    corners = sym.exp(sym.slice_axis(part, axis=2, begin=2, end=6), name="corners")
    assert keys_of(detections(scores * 0 + 3, sym.tile(scores, reps=(1, 1, 1)), corners)) == ("scores", "corners")


def test_keys_lie_before_slices_and_selections() -> None:
    scores = sym.softmax(boxes(DATA), axis=-1, name="scores")
    best = sym.slice_axis(scores, axis=2, begin=0, end=1)
    class_numbers = sym.where(best > 0.2, sym.zeros_like(best), sym.ones_like(best) * -1)
    decoded = sym.contrib.box_decode(
        sym.slice_axis(sym.relu(boxes(DATA, "other"), name="offsets"), axis=2, begin=0, end=4),
        sym.Variable("anchors", shape=(1, 64, 4)),
        name="decoded",
    )
    assert keys_of(detections(class_numbers, best, decoded)) == ("scores", "decoded")


def test_operators_without_integer_form_are_a_head_too() -> None:
    assert keys_of(sym.sort(sym.Flatten(sym.relu(conv(DATA, "c"), name="act")), axis=1)) == ("act",)


def test_outputs_beside_the_head_are_keys() -> None:
    trunk = sym.relu(conv(DATA, "c"), name="act")
    other = conv(trunk, "other")
    assert keys_of(sym.Group([sym.sort(trunk, axis=1), other])) == ("act", "other")


def test_shapes_that_an_input_leads_to_are_no_dependence_on_it() -> None:
    anchors = sym.slice_like(sym.Variable("anchors", shape=(1, 1, 16, 16)), conv(DATA, "trunk") * 0, axes=(2, 3))
    trunk = sym.relu(conv(DATA, "c", 1), name="act")
    symbol = sym.sort(sym.broadcast_add(trunk, anchors, name="sum"), axis=1)
    network = FixShapes().run(random_network(symbol, (-1, 3, 8, 8)))
    assert not any(node.op in ("slice_like", "_mul_scalar") or node.name == "trunk" for node in network.nodes())
    data = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    cut = split(network, ["act"])
    (expected,) = Executor(random_network(symbol, (-1, 3, 8, 8)))(data)
    np.testing.assert_array_equal(Executor(cut.top)(Executor(cut.base)(data)[0])[0], expected)


def test_keys_may_be_typed_in_found_or_none() -> None:
    anchors = sym.slice_like(
        sym.Variable("anchors", shape=(1, 1, 16, 16)), conv(DATA, "trunk") * 0, axes=(2, 3), name="cut"
    )
    trunk = sym.relu(conv(DATA, "c", 1), name="act")
    network = random_network(sym.sort(sym.broadcast_add(trunk, anchors, name="sum"), axis=1), (-1, 3, 8, 8))
    assert split_as_configured(network, ()) is None
    expected = {("auto",): ["sum"], ("act",): ["act"], ("act", "cut"): ["act", "cut"], ("c",): ["c"]}
    data = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    for keys, inputs in expected.items():
        cut = split_as_configured(network, keys)
        assert cut is not None
        assert list(cut.top.inputs) == inputs
        check_float(network, cut, data)
    with pytest.raises(MRTError, match="the network has no node nowhere"):
        split_as_configured(network, ("nowhere",))


def test_a_network_without_head_is_not_split() -> None:
    with pytest.raises(MRTError, match="every operator of the network has an integer form"):
        keys_of(conv(DATA, "only"))


def test_a_head_that_reads_the_input_is_refused() -> None:
    with pytest.raises(MRTError, match="reads the input itself"):
        keys_of(sym.sort(DATA, axis=1))


SSD = ("ssd0_softmax0", "ssd0_normalizedboxcenterdecoder0_box_decode0")
YOLO = tuple(
    f"yolov30_yolooutputv3{scale}_{part}" for scale in range(3) for part in ("broadcast_mul1", "_minus0", "_plus0")
)


@pytest.mark.parametrize(
    ("name", "keys"),
    [("ssd_512_resnet50_v1_voc", SSD), ("ssd_512_mobilenet1.0_coco", SSD), ("yolo3_darknet53_voc", YOLO)],
)
def test_the_keys_of_other_detectors(name: str, keys: tuple[str, ...]) -> None:
    assert find_keys(FixShapes().run(detector(name))) == keys


@pytest.mark.parametrize(("name", "keys"), [("ssd_512_mobilenet1.0_voc", SSD), ("yolo3_mobilenet1.0_voc", YOLO)])
def test_detectors_split_in_front_of_their_head(name: str, keys: tuple[str, ...]) -> None:
    network = structural_network(detector(name), pictures(4))
    fixed = FixShapes().run(network)
    assert find_keys(fixed) == keys
    cut = split(fixed, keys)
    data = pictures(2)
    check_float(network, cut, data)
    check_integers(cut, data)


def check_float(network: Graph, cut: Split, data: Array) -> None:
    between = dict(zip(cut.top.inputs, Executor(cut.base)(data)))
    for expected, found in zip(Executor(network)(data), Executor(cut.top)(between)):
        np.testing.assert_array_equal(found, expected)


def check_integers(cut: Split, data: Array) -> None:
    """The base follows the float one, both executors give the same integers, and the head takes what comes out."""
    prepared = PassManager(PREPARE, verify=data).run(cut.base)
    quantized = quantize(prepared, calibrate(prepared, [data]))
    integers = quantize_input(data[:1], quantized.input)
    results = Executor(quantized.graph, dtype="float64")(integers)
    model = compile_model(quantized)
    for expected, found in zip(formal.run(model, integers), results):
        np.testing.assert_array_equal(found, expected)
    real = [dequantize(array, info) for array, info in zip(results, quantized.outputs)]
    for expected, found in zip(Executor(cut.base)(data[:1]), real):
        assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.9
    numbers, scores, corners = Executor(cut.top)(dict(zip(cut.top.inputs, real)))
    (_, expected_scores, _) = Executor(cut.top)(dict(zip(cut.top.inputs, Executor(cut.base)(data[:1]))))
    assert numbers.shape[2:] == scores.shape[2:] == (1,)
    assert corners.shape[2:] == (4,)
    np.testing.assert_allclose(scores[0, :10], expected_scores[0, :10], atol=0.15)


def test_a_head_that_takes_places_by_number_is_cut_off() -> None:
    """As CenterNet has it: numbers of samples and of places are no tensors to quantize."""
    heat, sizes = sym.sigmoid(conv(DATA, "c", 2), name="heat"), conv(DATA, "sizes", 2)
    peaks = heat * sym.broadcast_equal(sym.Pooling(heat, kernel=(3, 3), pad=(1, 1), pool_type="max", name="top"), heat)
    places = sym.cast(sym.topk(sym.reshape(peaks, shape=(0, -1)), k=3), dtype="int64")
    rows = sym.slice_like(sym.arange(16), sym.reshape(sizes, shape=(0, -1, 2)), axes=(0,))
    rows = sym.cast(sym.tile(sym.expand_dims(rows, axis=-1), reps=(1, 3)), dtype="int64")
    number = sym.reshape(sym.concat(rows, places, dim=0), shape=(2, -1))
    found = sym.gather_nd(sym.reshape(sizes, shape=(0, -1)), number)
    assert set(keys_of(sym.Group([found, places]))) == {"heat", "top", "sizes"}
