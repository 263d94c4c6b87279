"""Large weights in pieces, so that what is computed from them does not need several times their memory."""

from __future__ import annotations

from collections.abc import Iterator

from mrt.graph import Array

_BLOCK = 2**21


def row_blocks(matrix: Array) -> Iterator[slice]:
    """Runs of rows of a (rows, columns) matrix, each of about two million elements."""
    step = max(1, _BLOCK // max(1, matrix.shape[1]))
    return (slice(start, start + step) for start in range(0, len(matrix), step))
