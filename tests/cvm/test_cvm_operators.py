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
        assert np.abs(y.astype(np.int64)).max() <= bound or name in ("cvm_precision", "broadcast_greater")


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


def _defaults(name):
    return {"take": {"axis": None}}.get(name, {})
