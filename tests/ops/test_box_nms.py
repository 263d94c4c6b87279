"""Non-maximum suppression in integers: against the target's own executor, and against MXNet's in float."""

from __future__ import annotations

from typing import Any

import cvm.ops
import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from operator_cases import conv
from toolchain import Compiled, check_bit_exact, check_prepared, compile_network, random_network

from mrt.calibrate.calibrator import calibrate
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Array, Graph
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import QuantizeSettings, quantize
from mrt.recipe import Recipe
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager

sym = mx.sym
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "across-classes": {"force_suppress": True},
    "best-7": {"topk": 7},
    "strict": {"overlap_thresh": 0.1, "valid_thresh": 0.4},
    "all-stay": {"overlap_thresh": 1.0},
}


# The integer operators ---------------------------------------------------------------------------------------------
def integer_rows(seed: int, count: int = 40) -> Array:
    """Rows with equal scores, ids below 0, equal boxes and boxes turned inside out."""
    random = np.random.default_rng(seed)
    numbers, scores = random.integers(-1, 3, (2, count, 1)), random.integers(-2, 12, (2, count, 1))
    corners = random.integers(-20, 20, (2, count, 2))
    sides = random.integers(-3, 12, (2, count, 2))
    return np.concatenate([numbers, scores, corners, corners + sides], axis=-1).astype(np.int32)


def on_mxnet(op: str, inputs: list[Array], **attributes: object) -> list[Array]:
    arrays = [mx.nd.array(array, dtype="float64") for array in inputs]
    found = mx.nd.Custom(*arrays, op_type=f"mrt_{op}", **attributes)
    return [array.asnumpy() for array in (found if isinstance(found, (list, tuple)) else [found])]


def on_target(op: str, inputs: list[Array], **attributes: object) -> list[Array]:
    return cvm.ops.get(op).formal({key: str(value) for key, value in attributes.items()}, inputs)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [-3, 0, 4, 11])
def test_valid_rows_are_the_targets(seed: int, threshold: int) -> None:
    rows = integer_rows(seed)
    expected = on_target("get_valid_counts", [rows], score_threshold=threshold)
    assert expected[0].min() >= 0 and (threshold != 11 or expected[0].max() == 0)
    for a, b in zip(expected, on_mxnet("get_valid_counts", [rows], score_threshold=threshold)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("top", [-1, 0, 3, 25])
@pytest.mark.parametrize("percent", [1, 45, 50, 101])
def test_kept_rows_are_the_targets(seed: int, force: bool, top: int, percent: int) -> None:
    settings = {"iou_threshold": percent, "force_suppress": force, "top_k": top}
    inputs = [integer_rows(seed), np.array([40, 17], np.int32)]
    (expected,) = on_target("non_max_suppression", inputs, **settings)
    np.testing.assert_array_equal(on_mxnet("non_max_suppression", inputs, **settings)[0], expected)


# The whole of box_nms ----------------------------------------------------------------------------------------------
def hand_made(columns: tuple[str, ...], **settings: Any) -> Graph:
    """Scores and corners (N, 24, 5) to what box_nms keeps of them; each row has a class number of three."""
    data = sym.Variable("data")
    scores, corners = (sym.slice_axis(data, axis=2, begin=begin, end=end) for begin, end in ((0, 1), (1, 5)))
    numbers = sym.broadcast_add(sym.zeros_like(scores), sym.Variable("numbers", shape=(1, 24, 1)))
    parts = {"number": numbers, "score": scores, "corners": corners}
    starts = dict(zip(columns, np.cumsum([0] + [4 if name == "corners" else 1 for name in columns]).tolist()))
    kept = sym.contrib.box_nms(
        sym.Concat(*[parts[name] for name in columns], dim=2),
        **{"valid_thresh": 0.05, "overlap_thresh": 0.45, **settings},
        id_index=starts.get("number", -1),
        score_index=starts["score"],
        coord_start=starts["corners"],
    )
    kept = sym.slice_axis(kept, axis=1, begin=0, end=20)
    outputs = [
        sym.slice_axis(kept, axis=2, begin=starts[name], end=starts[name] + (4 if name == "corners" else 1))
        for name in columns
    ]
    numbers_of_rows = (np.arange(24) % 3).reshape(1, 24, 1).astype(np.float32)
    return from_symbol(sym.Group(outputs), {"numbers": numbers_of_rows}, {"data": (-1, 24, 5)})


def boxes(count: int, seed: int = 0) -> Array:
    """Clusters of boxes that overlap much or little, no two with like scores; no overlap is near a threshold."""
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        middle = np.repeat(random.permutation(16)[:6], 4)
        corner = np.stack([middle % 4, middle // 4], axis=1) * 2.0
        shift = np.tile([[0, 0], [0.125, 0], [1.25, 0.25], [0, 0.0625]], (6, 1))
        low = corner + shift
        scores = random.permutation(np.linspace(0.02, 0.98, 24))
        pictures.append(np.column_stack([scores, low, low + 1.75]))
    return np.array(pictures, np.float32)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(
    "columns", [("number", "score", "corners"), ("corners", "score", "number"), ("score", "corners")]
)
def test_integers_keep_the_boxes_that_mxnet_keeps(columns: tuple[str, ...], settings: dict[str, Any]) -> None:
    network = hand_made(columns, **settings)
    data = boxes(6)
    prepared = PassManager(PREPARE, verify=data[:2]).run(network)
    quantized = quantize(prepared, calibrate(prepared, [data]), QuantizeSettings(input_precision=16))
    integers = quantize_input(data, quantized.input)
    found = formal.run(compile_model(quantized), integers)
    expected = Executor(network)(data)
    for a, b in zip(found, Executor(quantized.graph, dtype="float64")(integers)):
        np.testing.assert_array_equal(a, b)
    for name, real, array, info in zip(columns, expected, found, quantized.outputs):
        assert 0 < (real[:, :, 0] == -1).sum() < real[:, :, 0].size or settings.get("overlap_thresh") == 1.0
        absent = dequantize(np.array(-1), info)
        np.testing.assert_allclose(dequantize(array, info), np.where(real == -1, absent, real), atol=0.002)
        assert name != "number" or info.scale == 1


def head(per_class: bool) -> Any:
    """A detection head of GluonCV's SSD kind (64 anchors, 3 classes), or one that tiles the boxes as YOLO's does."""
    data = sym.Variable("data")
    flat = [sym.reshape(sym.transpose(conv(data, c), axes=(0, 2, 3, 1)), shape=(0, -1, c)) for c in (4, 4)]
    corners = sym.Concat(flat[1] * 0.3, flat[1] * 0.3 + 1, dim=-1)
    corners = sym.slice_axis(corners, axis=-1, begin=2, end=6)
    if per_class:
        scores = sym.slice_axis(sym.softmax(flat[0], axis=-1), axis=-1, begin=1, end=None)
        numbers = sym.broadcast_add(
            sym.zeros_like(sym.slice_axis(flat[0], axis=-1, begin=0, end=1)),
            sym.reshape(sym.arange(3), shape=(1, 1, 3)),
        )
        mask = scores > 0.05
        numbers = sym.where(mask, numbers, sym.ones_like(numbers) * -1)
        scores = sym.where(mask, scores, sym.zeros_like(scores))
        cut = [[sym.slice_axis(x, axis=-1, begin=i, end=i + 1) for x in (numbers, scores)] for i in range(3)]
        joined = sym.Concat(*[sym.Concat(*pair, corners, dim=-1) for pair in cut], dim=1)
    else:
        scores = sym.expand_dims(sym.transpose(sym.sigmoid(flat[0]), axes=(2, 0, 1)), axis=-1)
        numbers = sym.broadcast_add(scores * 0, sym.reshape(sym.arange(4), shape=(0, 1, 1, 1)))
        joined = sym.Concat(numbers, scores, sym.tile(corners, reps=(4, 1, 1, 1)), dim=-1)
        joined = sym.reshape(sym.transpose(joined, axes=(1, 0, 2, 3)), shape=(0, -1, 6))
    kept = sym.contrib.box_nms(joined, id_index=0, score_index=1, coord_start=2, valid_thresh=0.05, topk=50)
    kept = sym.slice_axis(kept, axis=1, begin=0, end=10)
    return sym.Group([sym.slice_axis(kept, axis=2, begin=begin, end=end) for begin, end in ((0, 1), (1, 2), (2, 6))])


@pytest.mark.parametrize("per_class", [True, False])
def test_heads_are_computed_in_integers(per_class: bool) -> None:
    compiled = compile_network(random_network(head(per_class), (-1, 3, 8, 8)))
    check_prepared(compiled)
    check_bit_exact(compiled)
    assert compiled.certificate.ok, compiled.certificate.verdict()
    assert {"get_valid_counts", "non_max_suppression"} <= compiled.operators
    assert compiled.quantized.outputs[0].scale == 1
    numbers, scores, _ = real_outputs(compiled)
    float_numbers, float_scores, _ = Executor(compiled.network)(compiled.data)
    assert set(np.unique(numbers)) <= {-1, 0, 1, 2, 3}
    np.testing.assert_allclose(scores, float_scores, atol=0.05)
    assert np.mean(numbers == float_numbers) > 0.5


def test_class_numbers_stay_whole_in_fewer_bits() -> None:
    compiled = compile_network(random_network(head(True), (-1, 3, 8, 8)), Recipe(output_precision=8))
    check_bit_exact(compiled)
    assert [info.precision for info in compiled.quantized.outputs] == [8, 8, 8]
    wide = compile_network(compiled.network)
    np.testing.assert_array_equal(real_outputs(compiled)[0], real_outputs(wide)[0])


def test_suppression_cannot_be_left_in_float() -> None:
    with pytest.raises(MRTError, match=r"mrt_box_nms.*: an operator of several outputs cannot be left in float"):
        compile_network(random_network(head(True), (-1, 3, 8, 8)), Recipe(restore_name=("_OP_mrt_box_nms",)))


def real_outputs(compiled: Compiled) -> list[Array]:
    found = formal.run(compiled.model, quantize_input(compiled.data, compiled.quantized.input))
    return [dequantize(array, info) for array, info in zip(found, compiled.quantized.outputs)]


REFUSED = {
    "topk": ({"topk": 0}, "topk must not be 0"),
    "overlap": ({"overlap_thresh": -0.5}, "nor overlap_thresh negative"),
    "in_format": ({"in_format": "center"}, "in_format=center is not supported"),
    "out_format": ({"out_format": "center"}, "out_format=center is not supported"),
    "background": ({"background_id": 0}, "background_id=0 is not supported"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_the_target_cannot_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MRTError, match=message):
        PassManager(PREPARE).run(hand_made(("number", "score", "corners"), **settings))


def test_rows_of_other_widths_are_refused() -> None:
    rows = sym.contrib.box_nms(sym.Variable("data"), id_index=0, score_index=1, coord_start=2)
    with pytest.raises(MRTError, match=r"only \(N, M, 6\)"):
        PassManager(PREPARE).run(random_network(rows, (-1, 9, 7)))


def test_computed_class_numbers_are_refused() -> None:
    rows = sym.contrib.box_nms(sym.Variable("data"), id_index=0, score_index=1, coord_start=2, valid_thresh=0.1)
    with pytest.raises(MRTError, match="class numbers are not whole numbers that the network's structure decides"):
        compile_network(random_network(rows, (-1, 9, 6)))
