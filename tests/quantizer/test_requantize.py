"""Requantization, against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import cvm
import hypothesis.strategies as st
import numpy as np
import pytest
import sympy
from cvm import formal
from cvm.certificate import certify
from hypothesis import given, settings

from mrt.errors import MRTError
from mrt.graph import Array, Graph, Node, Value
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import IntValue, QValue, Target, exact
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.annotate import annotate
from mrt.quantizer.quantize import Quantized
from mrt.statistics.tensor import Statistics
from mrt.targets.cvm.compiler import compile_model

CHANNELS = 3


def fresh(precision: int) -> tuple[QuantizeContext, IntValue]:
    """A context for a graph of nothing but an input of some precision, and that input."""
    node = Node("null", "data", origin=("data",))
    graph = Graph((Value(node),), {}, {"data": (-1, CHANNELS)})
    ctx = QuantizeContext(graph, annotate(graph, {"data": Statistics.of(np.ones((1, CHANNELS), np.float32))}))
    ctx.node = Node("node", "node", origin=("node",))
    return ctx, ctx.input(node, TensorInfo("data", sympy.Integer(1), 0, precision)).tensor


def compiled(ctx: QuantizeContext, value: IntValue, precision: int) -> cvm.Model:
    graph = Graph((value.value,), ctx.params, {"data": (-1, CHANNELS)}).pruned()
    model = compile_model(Quantized(graph, (TensorInfo("data", sympy.Integer(1), 0, precision),), ()))
    assert certify(model).ok
    return model


def integers(precision: int, seed: int) -> Array:
    limit = 2 ** (precision - 1) - 1
    random = np.random.default_rng(abs(seed))
    edges = np.array([-limit, 1 - limit, -1, 0, 1, limit // 2, limit - 1, limit])
    return np.stack([np.concatenate([edges, random.integers(-limit, limit, 40, endpoint=True)])] * CHANNELS, axis=1)


def saturated(value: int, precision: int) -> int:
    limit = 2 ** (precision - 1) - 1
    return max(-limit, min(limit, value))


@settings(deadline=None, max_examples=150)
@given(
    st.integers(2, 16),
    st.lists(st.integers(-(2**11), 2**11), min_size=CHANNELS, max_size=CHANNELS),
    st.lists(st.integers(-(2**28), 2**28), min_size=CHANNELS, max_size=CHANNELS),
    st.integers(0, 24),
    st.sampled_from([8, 12, 16, 24]),
)
def test_scale_shift_is_exact_where_the_product_fits(
    precision: int, multiplier: list[int], addend: list[int], shift: int, out: int
) -> None:
    ctx, data = fresh(precision)
    result = ctx.scale_shift(data, np.array([multiplier]), np.array([addend]), shift, out)
    model = compiled(ctx, result, precision)
    x = integers(precision, shift)
    (found,) = formal.run(model, x)
    for row, values in zip(found, x):
        for y, v, m, b in zip(row, values, multiplier, addend):
            assert y == saturated(floor(Fraction(int(v) * m + b, 2**shift) + Fraction(1, 2)), out)


@settings(deadline=None, max_examples=150)
@given(st.integers(17, 31), st.integers(1, 2**13), st.integers(-(2**30), 2**30), st.integers(16, 31))
def test_scale_shift_without_room_loses_less_than_a_step(
    precision: int, multiplier: int, addend: int, shift: int
) -> None:
    ctx, data = fresh(precision)
    result = ctx.scale_shift(data, np.array(multiplier), np.array(addend), shift, 16)
    x = integers(precision, shift)
    (found,) = formal.run(compiled(ctx, result, precision), x)
    lost = max(0, precision + multiplier.bit_length() + 2 - 32)
    bound = Fraction(1, 2) + Fraction(multiplier * 2**lost, 2 * 2**shift) + Fraction(2**lost, 2**shift) + Fraction(1, 2)
    for y, v in zip(found.ravel(), x.ravel()):
        real = Fraction(int(v) * multiplier + addend, 2**shift)
        if abs(real) < 2**15 - 2 - bound:
            assert abs(int(y) - real) <= bound


scales = st.floats(1e-6, 1e3).map(exact)


@settings(deadline=None, max_examples=150)
@given(
    scales,
    st.integers(-60, 26).map(lambda power: 2.0 ** (power / 2 - 0.3)),
    st.integers(5, 24),
    st.integers(-200, 200),
    st.sampled_from([(8, 0), (8, 127), (8, -127), (13, -1000), (16, 0)]),
    st.booleans(),
)
def test_rescaling_keeps_the_real_value(
    scale: Any, ratio: float, precision: int, offset: int, form: tuple[int, int], exactly: bool
) -> None:
    """real = scale * (q + offset) before and after, to one step of the coarser form, or saturated."""
    ctx, data = fresh(precision)
    bits, new_offset = form
    target = Target(exact(float(scale) * ratio), new_offset, bits)
    q = ctx.rescale(QValue(data, scale, offset), target, exactly)
    if not exactly:
        target = target.no_finer_than(float(scale) / 2**10)
    assert q.tensor.precision <= bits
    assert q.offset == target.offset
    if exactly:
        assert q.scale == target.scale
    else:
        assert abs(float(q.scale / target.scale) - 1) < 2.0**-6 or (2 ** (precision - 1)) * scale < target.scale / 2
    x = integers(precision, offset)
    (found,) = formal.run(compiled(ctx, q.tensor, precision), x)
    expected = (x.astype(np.float64) + offset) * float(scale)
    real = (found.astype(np.float64) + q.offset) * float(q.scale)
    low, high = ((sign * target.limit + q.offset) * float(q.scale) for sign in (-1, 1))
    tolerance = 0.51 * float(q.scale) + 2.0**-10 * np.abs(expected) * exactly + 0.51 * float(scale) * (precision > 16)
    tolerance = tolerance + 2.0**-12 * np.abs(expected).max() * (precision > 16)
    assert (np.abs(real - np.clip(expected, low, high)) <= tolerance).all()


def test_a_power_of_two_ratio_is_one_shift() -> None:
    ctx, data = fresh(20)
    q = ctx.rescale(QValue(data, sympy.Rational(1, 1024)), Target(sympy.Rational(1, 4), 0, 16), exactly=True)
    assert q.scale == sympy.Rational(1, 4)
    assert q.tensor.value.node.target_op == "cvm_right_shift"
    assert q.tensor.value.node.attrs == {"precision": "16", "shift_bit": "8"}
    assert q.tensor.value.node.inputs == (data.value,)


def test_a_form_that_fits_already_costs_nothing() -> None:
    ctx, data = fresh(8)
    assert ctx.fit(data, 8) is data
    assert ctx.clamp(data, -127, 127) is data
    q = QValue(data, exact(0.3))
    assert ctx.rescale(q, Target(exact(0.3), 0, 8)).tensor is data


@pytest.mark.parametrize(
    ("low", "high"), [(0, 127), (0, 50), (-3, 90), (-127, 4), (60, 70), (5, 5), (127, 200), (200, 300)]
)
def test_clamping(low: int, high: int) -> None:
    ctx, data = fresh(8)
    x = integers(8, 0)
    (found,) = formal.run(compiled(ctx, ctx.clamp(data, low, high), 8), x)
    np.testing.assert_array_equal(found, np.clip(x, low, high))


def test_exactness_that_cannot_be_had_is_refused_in_one_line() -> None:
    ctx, data = fresh(16)
    with pytest.raises(MRTError, match=r"^node node: no room to requantize in 32 bits$"):
        ctx.scale_shift(data, np.array(2**24 + 1), np.array(1), 2, 16)
    with pytest.raises(MRTError, match=r"^node node \(node\): a constant does not fit in 32 bits$"):
        ctx.param(np.array([2**33]))
    with pytest.raises(MRTError, match=r"^node node \(node\): .*precision 34"):
        ctx.emit("broadcast_mul", [ctx.emit("broadcast_mul", [data, data]), ctx.scalar(1)])


def test_equal_constants_of_a_node_are_shared_and_names_unique() -> None:
    ctx, _ = fresh(8)
    assert ctx.scalar(5).value == ctx.scalar(5).value
    assert ctx.scalar(5).value != ctx.scalar(6).value
    assert ctx.param(np.array([[5]])).value != ctx.scalar(5).value
    assert len(ctx.params) == 3


@given(st.floats(1e-30, 1e30))
def test_scales_are_exact_rationals_near_the_float(value: float) -> None:
    scale = exact(value)
    assert abs(Fraction(int(scale.p), int(scale.q)) / Fraction(value) - 1) <= Fraction(1, 2**24)
    assert int(scale.p) < 2**24 * max(1, value * 2)
