"""The compiled bytes do not depend on the machine."""

import numpy as np
import pytest
from compiled_bytes import manifest

from mrt.reproducible import cholesky, exp, gram, inverse_of_upper, log, matmul

GENERATOR = np.random.default_rng(3)


def test_digits_compile_to_the_same_bytes_on_any_threads_and_processor() -> None:
    found = {manifest("digits", *way)["sha256"] for way in ((1, "this one"), (2, "AVX2"), (2, "SSE4.1"))}
    assert len(found) == 1


@pytest.mark.parametrize("inner", [1, 2, 300, 5000])
def test_a_product_does_not_depend_on_the_order_of_its_sums(inner: int) -> None:
    left, right = GENERATOR.normal(size=(2, 7, inner)), GENERATOR.lognormal(sigma=3, size=(2, inner, 5))
    order = GENERATOR.permutation(inner)
    product = matmul(left, right)
    np.testing.assert_array_equal(product, matmul(left[:, :, order], right[:, order]))
    size = np.abs(left).max(axis=2, keepdims=True) * np.abs(right).max(axis=1, keepdims=True)
    assert np.max(np.abs(product - np.matmul(left, right)) / size) < inner * 2.0**-38
    rows = left.transpose(0, 2, 1).astype(np.float32)
    np.testing.assert_array_equal(gram(rows), gram(rows[:, order]))


@pytest.mark.parametrize("size", [1, 9, 64, 65, 200])
def test_factors_are_those_of_lapack(size: int) -> None:
    samples = GENERATOR.normal(size=(3, 2 * size, size)) + 1
    matrix = np.matmul(samples.transpose(0, 2, 1), samples)
    lower = cholesky(matrix)
    np.testing.assert_allclose(lower, np.linalg.cholesky(matrix), rtol=1e-7, atol=1e-8)
    upper = np.ascontiguousarray(lower.transpose(0, 2, 1))
    np.testing.assert_allclose(inverse_of_upper(upper), np.linalg.inv(upper), rtol=1e-6, atol=1e-9)


def test_functions_are_those_of_the_library() -> None:
    x = np.concatenate([GENERATOR.normal(scale=30, size=10000), [0.0, 1e-300, -1e-9, 700.0, -700.0]])
    np.testing.assert_allclose(exp(x), np.exp(x), rtol=1e-14)
    positive = np.concatenate([np.exp(x), [1.0, 0.5, 0.5**0.5, 1e300, np.finfo(np.float32).tiny]])
    np.testing.assert_allclose(log(positive), np.log(positive), rtol=1e-14, atol=1e-15)
