"""Linear algebra, exp and log with the same bits on any number of threads, any BLAS and any IEEE 754 processor.

Operands of a matrix product are cut into slices of so few bits that no partial sum is rounded, whatever its order
(Ozaki, Ogita, Oishi and Rump, "Error-free transformations of matrix multiplication", 2012). All else is done element
by element, where IEEE 754 leaves no choice.
"""

from __future__ import annotations

import numpy as np

from mrt.graph import Array

_MANTISSA = 53
_PANEL = 64
_LN2_HIGH, _LN2_LOW = (
    0.693147180369123816490,
    1.90821492927058770002e-10,
)  # whose sum is ln 2; k times the first is exact
_EXPONENT_TERMS, _LOGARITHM_TERMS = 13, 11
_LARGEST_EXPONENT = 700.0


def matmul(left: Array, right: Array, slices: int = 2) -> Array:
    """The product of (..., M, K) and (..., K, N), in float64.

    Args:
        left: of any float type.
        right: of any float type.
        slices: 1 or 2: how many slices of (53 - log2 K) / 2 bits stand for each row of `left` and column of `right`.
    """
    bits = (_MANTISSA - int(left.shape[-1] - 1).bit_length()) // 2
    rows, columns = _slices(left, -1, bits, slices), _slices(right, -2, bits, slices)
    product: Array = np.matmul(rows[0], columns[0])
    if slices == 2:
        product += np.matmul(rows[0], columns[1])
        product += np.matmul(rows[1], columns[0])
    return product


def gram(rows: Array) -> Array:
    """X^T X of (..., N, K) rows, each column rounded to (53 - log2 N) / 2 bits of its largest element."""
    return matmul(np.swapaxes(rows, -1, -2), rows, slices=1)


def _slices(array: Array, axis: int, bits: int, count: int) -> list[Array]:
    """Multiples of a power of two of its own for each line along the axis; the sum of all is near the array."""
    left = array.astype(np.float64)
    _, exponent = np.frexp(np.abs(left).max(axis=axis, keepdims=True))
    found = []
    for index in range(count):
        unit = np.ldexp(1.0, exponent - (index + 1) * bits)
        found.append(np.rint(left / unit) * unit)
        if index + 1 < count:
            left -= found[-1]
    return found


def cholesky(matrix: Array) -> Array:
    """Lower L with L L^T the positive definite matrices (G, B, B)."""
    left = matrix.astype(np.float64)
    size = left.shape[1]
    for start in range(0, size, _PANEL):
        stop = min(start + _PANEL, size)
        for i in range(start, stop):
            column = left[:, i:, i] / np.sqrt(left[:, i, i])[:, None]
            left[:, i:, i] = column
            left[:, i + 1 :, i + 1 : stop] -= column[:, 1:, None] * column[:, None, 1 : stop - i]
        if stop < size:
            panel = left[:, stop:, start:stop]
            left[:, stop:, stop:] -= matmul(panel, panel.transpose(0, 2, 1))
    lower: Array = np.tril(left)
    return lower


def inverse_of_upper(matrix: Array) -> Array:
    """The inverses of upper triangular matrices (G, B, B), by halves."""
    size = matrix.shape[1]
    inverse = np.zeros(matrix.shape)
    if size <= _PANEL:
        for i in range(size - 1, -1, -1):
            row = -(matrix[:, i, i + 1 :, None] * inverse[:, i + 1 :]).sum(axis=1)
            row[:, i] = 1
            inverse[:, i] = row / matrix[:, i, i][:, None]
        return inverse
    half = size // 2
    first = inverse[:, :half, :half] = inverse_of_upper(matrix[:, :half, :half])
    second = inverse[:, half:, half:] = inverse_of_upper(matrix[:, half:, half:])
    inverse[:, :half, half:] = -matmul(matmul(first, matrix[:, :half, half:]), second)
    return inverse


def exp(array: Array) -> Array:
    """e^x in float64, to a few units of the last place, without the C library: 2^k times a Taylor series."""
    x = np.clip(array.astype(np.float64), -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    k = np.rint(x / (_LN2_HIGH + _LN2_LOW))
    left = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = np.ones_like(left)
    for term in range(_EXPONENT_TERMS, 0, -1):
        total = total * left / term + 1
    found: Array = np.ldexp(total, k.astype(np.int64))
    return found


def log(array: Array) -> Array:
    """The natural logarithm of what is above 0, in float64, likewise: 2 artanh((m - 1) / (m + 1)) + k ln 2."""
    mantissa, k = np.frexp(array.astype(np.float64))
    low = mantissa < 0.5**0.5
    mantissa, k = np.where(low, 2 * mantissa, mantissa), k - low
    ratio = (mantissa - 1) / (mantissa + 1)
    square, total = ratio * ratio, np.zeros_like(ratio)
    for term in range(_LOGARITHM_TERMS, -1, -1):
        total = total * square + 1 / (2 * term + 1)
    found: Array = 2 * ratio * total + k * _LN2_LOW + k * _LN2_HIGH
    return found
