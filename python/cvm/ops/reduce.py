"""sum and max over axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import axis_of, require
from cvm.ops.base import Array, Operator, Range, Shape, to_int32

_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")


@dataclass(frozen=True)
class ReduceAttributes:
    """Attributes of the reductions; an empty axis means all; `dtype` is accepted and ignored (int32)."""

    axis: tuple[int, ...] = ()
    keepdims: bool = False
    exclude: bool = False
    dtype: str = "int32"

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(self.dtype in _DTYPES, f"dtype {self.dtype!r} is unknown")


class _Reduce(Operator[ReduceAttributes]):
    """Axes and shapes of a reduction; reducing every axis without keepdims leaves shape (1,)."""

    attributes = ReduceAttributes

    def axes(self, a: ReduceAttributes, rank: int) -> tuple[int, ...]:
        """The axes, ascending, that the reduction of a tensor of this rank goes over."""
        if not a.axis:
            return tuple(range(rank))
        given = [axis_of("axis", axis, rank) for axis in a.axis]
        require(len(set(given)) == len(given), f"axis {a.axis} repeats an axis")
        return tuple(i for i in range(rank) if (i in given) != a.exclude)

    def _shape(self, a: ReduceAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        axes = self.axes(a, len(x))
        if a.keepdims:
            return [tuple(1 if i in axes else dim for i, dim in enumerate(x))]
        return [tuple(dim for i, dim in enumerate(x) if i not in axes) or (1,)]

    def _kept(self, a: ReduceAttributes, reduced: Array, rank: int) -> Array:
        """Drop the reduced axes of an array that kept them as size 1."""
        axes = self.axes(a, rank)
        if a.keepdims:
            return reduced
        return reduced.reshape(tuple(dim for i, dim in enumerate(reduced.shape) if i not in axes) or (1,))


class Sum(_Reduce):
    """Sum over the axes."""

    name = "sum"

    def _precision(self, a: ReduceAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0] + self._charge(a, shapes).bit_length()]

    def _charge(self, a: ReduceAttributes, shapes: list[Shape]) -> int:
        return math.prod(shapes[0]) // math.prod(self._shape(a, shapes)[0])

    def _total(self, a: ReduceAttributes, bound: Array, shape: Shape) -> Array:
        """Sum of a bound over the axes, where an axis of size 1 stands for equal values along the tensor's axis."""
        axes = self.axes(a, len(shape))
        repeats = math.prod(shape[i] for i in axes if bound.shape[i] == 1)
        return self._kept(a, bound.sum(axis=axes, keepdims=True) * repeats, len(shape))

    def _range(self, a: ReduceAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x = ranges[0].aligned(shapes[0])
        return [Range(self._total(a, x.lo, shapes[0]), self._total(a, x.hi, shapes[0]))]

    def _bound(self, a: ReduceAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        x = ranges[0].aligned(shapes[0])
        return int(self._total(a, np.maximum(np.abs(x.lo), np.abs(x.hi)), shapes[0]).max())

    def _formal(self, a: ReduceAttributes, inputs: list[Array]) -> list[Array]:
        x = inputs[0]
        total = x.sum(axis=self.axes(a, x.ndim), keepdims=True, dtype=np.int64)
        return [to_int32(self._kept(a, total, x.ndim))]


class Max(_Reduce):
    """Largest value over the axes: the true one, also where all are negative."""

    name = "max"

    def _precision(self, a: ReduceAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _largest(self, a: ReduceAttributes, x: Array, shape: Shape) -> Array:
        axes = self.axes(a, len(shape))
        return self._kept(a, x.max(axis=axes, keepdims=True) if axes else x, len(shape))

    def _range(self, a: ReduceAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x = ranges[0].aligned(shapes[0])
        return [Range(self._largest(a, x.lo, shapes[0]), self._largest(a, x.hi, shapes[0]))]

    def _formal(self, a: ReduceAttributes, inputs: list[Array]) -> list[Array]:
        return [self._largest(a, inputs[0], inputs[0].shape)]
