"""Every operator: exact against an independent evaluation, and sound in what it infers."""

from __future__ import annotations

import cvm_cases as cases
import cvm_oracles as oracles
import numpy as np
import pytest
from cvm import ops
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)
each_operator = pytest.mark.parametrize("name", ops.names())


def test_the_target_has_exactly_its_37_operators():
    assert len(ops.names()) == 37
    assert set(ops.names()) == set(cases._MAKERS)


@each_operator
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_formal_equals_an_independent_evaluation(name, seed):
    rng = np.random.default_rng(seed)
    case = cases.make(name, rng)
    _, inputs = cases.ranged_inputs(case, rng)
    found = ops.get(name).formal(case.attrs, inputs)
    wanted = oracles.expected(name, {**_defaults(name), **case.attrs}, inputs)
    assert len(found) == len(wanted) == ops.get(name).outputs
    for y, reference in zip(found, wanted):
        assert y.dtype == np.int32
        np.testing.assert_array_equal(y, reference)


@each_operator
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_inference_holds_for_what_formal_computes(name, seed):
    rng = np.random.default_rng(seed)
    case = cases.make(name, rng)
    ranges, inputs = cases.ranged_inputs(case, rng)
    operator = ops.get(name)
    outputs = operator.formal(case.attrs, inputs)
    assert operator.infer_shape(case.attrs, case.shapes) == [y.shape for y in outputs]
    precisions = operator.infer_precision(case.attrs, case.precisions, case.shapes)
    proven = operator.infer_range(case.attrs, ranges, case.shapes)
    bound = operator.accumulator_bound(case.attrs, ranges, case.shapes)
    for y, precision, interval in zip(outputs, precisions, proven):
        assert (np.broadcast_to(interval.lo, y.shape) <= y).all()
        assert (y <= np.broadcast_to(interval.hi, y.shape)).all()
        assert interval.bits() <= precision
        assert np.abs(y.astype(np.int64)).max() <= bound


@each_operator
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_known_inputs_give_known_outputs(name, seed):
    rng = np.random.default_rng(seed)
    case = cases.make(name, rng)
    _, inputs = cases.ranged_inputs(case, rng)
    operator = ops.get(name)
    proven = operator.infer_range(case.attrs, [ops.Range.constant(x) for x in inputs], case.shapes)
    for y, interval in zip(operator.formal(case.attrs, inputs), proven):
        np.testing.assert_array_equal(interval.lo, y)
        np.testing.assert_array_equal(interval.hi, y)


@pytest.mark.parametrize("terms", [1000, 1040, 1041, 4001, 65535])
def test_sums_of_products_are_exact_at_every_size(terms):
    rng = np.random.default_rng(terms)
    x, w = rng.integers(100, 128, (2, terms)), rng.integers(100, 128, (3, terms))
    wanted = x.astype(object) @ w.T.astype(object) + 1
    inputs = [x.astype(np.int32), w.astype(np.int32), np.ones(3, np.int32)]
    (dense,) = ops.get("dense").formal({"units": "3"}, inputs)
    np.testing.assert_array_equal(dense, wanted.astype(np.int64))
    as_images = [inputs[0].reshape(2, terms, 1, 1), inputs[1].reshape(3, terms, 1, 1), inputs[2]]
    (conv,) = ops.get("conv2d").formal({"channels": "3", "kernel_size": "(1, 1)"}, as_images)
    np.testing.assert_array_equal(conv[:, :, 0, 0], wanted.astype(np.int64))


def test_convolutions_larger_than_one_block_are_exact():
    rng = np.random.default_rng(0)
    x = rng.integers(-127, 128, (1, 64, 90, 90)).astype(np.int32)
    w = rng.integers(-127, 128, (2, 64, 3, 3)).astype(np.int32)
    attrs = {"channels": "2", "kernel_size": "(3, 3)", "strides": "(1, 1)", "padding": "(1, 1)", "use_bias": "False"}
    (y,) = ops.get("conv2d").formal(attrs, [x, w])
    (wanted,) = oracles.expected("conv2d", {**attrs, "dilation": "(1, 1)", "groups": "1"}, [x, w])
    np.testing.assert_array_equal(y, wanted)


def _suppress(rows, **attrs):
    data = np.array([rows], np.int32)
    attrs = {key: str(value) for key, value in attrs.items()}
    (kept,) = ops.get("non_max_suppression").formal(attrs, [data, np.array([len(rows)], np.int32)])
    return [row for row in kept[0].tolist() if row != [-1] * 6]


def test_an_overlap_equal_to_the_threshold_suppresses():
    rows = [[0, 9, 0, 0, 4, 3], [0, 8, 0, 0, 4, 6]]  # intersection 12, union 24
    assert _suppress(rows, iou_threshold=50) == rows[:1]
    assert _suppress(rows, iou_threshold=51) == rows
    third = [[0, 9, 0, 0, 1, 1], [0, 8, 0, 0, 3, 1]]  # floor(100 / 3) = 33
    assert _suppress(third, iou_threshold=33) == third[:1]
    assert _suppress(third, iou_threshold=34) == third


def test_boxes_of_equal_score_keep_their_order():
    rows = [[i % 3, 7, 10 * i, 0, 10 * i + 5, 5] for i in range(50)]
    assert _suppress(rows) == rows
    assert _suppress(rows, top_k=20) == rows[:20]
    assert _suppress(rows, max_output_size=7) == rows[:7]


def test_boxes_of_other_ids_suppress_only_when_forced():
    rows = [[0, 9, 0, 0, 4, 4], [1, 8, 0, 0, 4, 4]]
    assert _suppress(rows) == rows
    assert _suppress(rows, force_suppress=True) == rows[:1]


def _defaults(name):
    return {"take": {"axis": None}}.get(name, {})
