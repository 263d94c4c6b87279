"""dense: y = x w^T + b on 2-D data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cvm.ops.affine import affine_bound, affine_range, known_or_uniform
from cvm.ops.attributes import require
from cvm.ops.base import Array, Operator, Range, Shape, to_int32
from cvm.ops.conv import exact_float, product_precision


@dataclass(frozen=True)
class DenseAttributes:
    """Attributes of dense."""

    units: int
    use_bias: bool = True

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(self.units >= 1, "attribute units must be at least 1")


class Dense(Operator[DenseAttributes]):
    """x (M, K), w (N, K), b (N,) -> (M, N), with K < 65536."""

    name = "dense"
    attributes = DenseAttributes
    arity = (2, 3)

    def _shape(self, a: DenseAttributes, shapes: list[Shape]) -> list[Shape]:
        expected = 3 if a.use_bias else 2
        require(len(shapes) == expected, f"use_bias={a.use_bias} needs {expected} inputs, got {len(shapes)}")
        x, w = shapes[0], shapes[1]
        require(len(x) == 2, f"data must be 2-D, got {x}")
        require(x[1] < 65536, f"{x[1]} inputs: dense takes fewer than 65536")
        require(w == (a.units, x[1]), f"weight must be {(a.units, x[1])}, got {w}")
        if a.use_bias:
            require(shapes[2] == (a.units,), f"bias must be {(a.units,)}, got {shapes[2]}")
        return [(x[0], a.units)]

    def _precision(self, a: DenseAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [product_precision(precisions, shapes[0][1])]

    def _operands(
        self, a: DenseAttributes, ranges: list[Range], shapes: list[Shape]
    ) -> tuple[Range, Range, tuple[int, int, int, int], Range | None]:
        w = shapes[1]
        bias = ranges[2] if a.use_bias else None
        return ranges[0].along(shapes[0], 1), known_or_uniform(ranges[1], w), (1, w[0], w[1], 1), bias

    def _range(self, a: DenseAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        y = affine_range(*self._operands(a, ranges, shapes))
        return [Range(y.lo.reshape(1, -1), y.hi.reshape(1, -1))]

    def _bound(self, a: DenseAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        return affine_bound(*self._operands(a, ranges, shapes))

    def _formal(self, a: DenseAttributes, inputs: list[Array]) -> list[Array]:
        """In floating point wide enough to be exact; see `exact_float`."""
        kind = exact_float(inputs)
        y = np.matmul(inputs[0].astype(kind), inputs[1].astype(kind).T)
        return [to_int32(y + inputs[2].astype(kind) if a.use_bias else y)]

    def _charge(self, a: DenseAttributes, shapes: list[Shape]) -> int:
        return 3 * shapes[1][1] + a.use_bias

    def macs(self, attrs: Mapping[str, str], shapes: Sequence[Shape]) -> int:
        """M * N * K."""
        return math.prod(self.infer_shape(attrs, shapes)[0]) * shapes[0][1]
