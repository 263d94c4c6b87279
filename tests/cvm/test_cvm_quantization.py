"""Real numbers to integers and back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from cvm import CVMError
from cvm.quantization import beyond, dequantize, quantize, saturate, steps
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(-(10**6), 10**6), st.integers(-12, 3), st.integers(-300, 300), st.integers(2, 32))
def test_it_is_the_nearest_integer_halves_up_within_the_precision(eighths, power, offset, precision) -> None:
    """Against exact fractions, on numbers that floating point holds exactly: every eighth, so that halves are met."""
    scale = Fraction(2) ** power
    value = Fraction(eighths, 8) * scale
    nearest = (2 * value / scale + 1) // 2 - offset
    bound = 2 ** (precision - 1) - 1
    found = quantize([float(value)], float(scale), offset, precision)
    assert found.dtype == (np.int8 if precision <= 8 else np.int32)
    assert found.tolist() == [max(-bound, min(bound, nearest))]
    assert beyond(steps([float(value)], float(scale), offset), precision) == (abs(nearest) > bound)
    assert dequantize([nearest], float(scale), offset) == [float((nearest + offset) * scale)]


def test_a_scale_per_channel() -> None:
    scale = np.array([0.5, 0.25]).reshape(1, 2, 1)
    q = quantize(np.ones((1, 2, 3)), scale, 1, 8)
    assert q.tolist() == [[[1, 1, 1], [3, 3, 3]]]
    np.testing.assert_array_equal(dequantize(q, scale, 1), np.ones((1, 2, 3)))


def test_what_is_no_number_is_refused_and_infinities_saturate() -> None:
    assert quantize([np.inf, -np.inf], 1.0, 0, 16).tolist() == [32767, -32767]
    with pytest.raises(CVMError, match="NaN"):
        quantize([1.0, np.nan], 1.0, 0, 8)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_integers_of_any_type_saturate_without_wrapping(kind) -> None:
    info = np.iinfo(kind)
    ends = np.array([info.min, info.max], kind)
    for precision in (2, 8, 9, 32):
        bound = 2 ** (precision - 1) - 1
        assert saturate(ends, precision).tolist() == [max(-bound, int(info.min)), min(bound, int(info.max))]
