"""What every operator of the target provides: shape, precision, proven range, and its exact evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvm.errors import CVMError
from cvm.ops.attributes import NoAttributes, parse_attributes, require

Shape = tuple[int, ...]
Array = NDArray[Any]
A = TypeVar("A")

MAX_RANK = 6
MAX_DIM = 2**24
MAX_SIZE = 2**30
MAX_PRECISION = 32
INT32_MAX = 2**31 - 1


def limit(precision: int) -> int:
    """Largest magnitude of a value of this precision: 2^(p-1) - 1."""
    return int(2 ** (precision - 1) - 1)


def stored_type(precision: int) -> type[np.signedinteger[Any]]:
    """The type in which files and hosts hold integers of a precision: int8 up to 8, else int32."""
    return np.int8 if precision <= 8 else np.int32


def check_shape(shape: Shape) -> None:
    """Refuse a shape outside the format's limits: 1-6 dimensions of 1..2^24, at most 2^30 elements."""
    require(1 <= len(shape) <= MAX_RANK, f"shape {shape}: 1 to {MAX_RANK} dimensions are allowed")
    require(all(1 <= dim <= MAX_DIM for dim in shape), f"shape {shape}: each dimension must be in 1..2^24")
    require(math.prod(shape) <= MAX_SIZE, f"shape {shape}: more than 2^30 elements")


def check_precision(precision: int, what: str) -> None:
    """Refuse a precision outside 1..32."""
    require(1 <= precision <= MAX_PRECISION, f"{what} precision {precision} is outside 1..{MAX_PRECISION}")


def to_int32(values: Array) -> Array:
    """The same integers as int32; `CVMError` if one does not fit (a model that passes inference cannot get there)."""
    if values.size and (values.max() > INT32_MAX or values.min() < -INT32_MAX - 1):
        raise CVMError("a value leaves the int32 range")
    return values.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Range:
    """A proven interval [lo, hi] for the values of a tensor; both are int64 and broadcast (numpy's way) against it."""

    lo: Array
    hi: Array

    @classmethod
    def of(cls, lo: Any, hi: Any) -> Range:
        """The interval of two numbers or arrays."""
        return cls(np.asarray(lo, np.int64), np.asarray(hi, np.int64))

    @classmethod
    def constant(cls, array: Array) -> Range:
        """The range of a tensor whose values are known: lo = hi = `array`, in full shape."""
        values = np.asarray(array, np.int64)
        return cls(values, values)

    def min(self) -> int:
        """Smallest value of the whole tensor."""
        return int(self.lo.min())

    def max(self) -> int:
        """Largest value of the whole tensor."""
        return int(self.hi.max())

    def magnitude(self) -> int:
        """Largest absolute value of the whole tensor."""
        return max(abs(self.min()), abs(self.max()))

    def bits(self) -> int:
        """Smallest precision p with |v| <= 2^(p-1) - 1 for every value."""
        return self.magnitude().bit_length() + 1

    def is_constant(self, shape: Shape) -> bool:
        """Whether every value of a tensor of this shape is known."""
        return self.lo.shape == tuple(shape) and (self.lo is self.hi or np.array_equal(self.lo, self.hi))

    def collapsed(self) -> Range:
        """One interval for the whole tensor."""
        return Range.of(self.min(), self.max())

    def aligned(self, shape: Shape) -> Range:
        """The same with as many axes as `shape` (leading axes of size 1 added)."""
        lo, hi = ((1,) * (len(shape) - end.ndim) + end.shape for end in (self.lo, self.hi))
        return Range(self.lo.reshape(lo), self.hi.reshape(hi))

    def along(self, shape: Shape, axis: int) -> Range:
        """One interval per index of `axis` of a tensor of this shape: arrays of shape (1, .., shape[axis], .., 1)."""
        full = self.aligned(shape)
        others = tuple(i for i in range(len(shape)) if i != axis)
        target = tuple(dim if i == axis else 1 for i, dim in enumerate(shape))
        lo = np.broadcast_to(full.lo.min(axis=others, keepdims=True), target)
        hi = np.broadcast_to(full.hi.max(axis=others, keepdims=True), target)
        return Range(lo, hi)

    def union(self, other: Range) -> Range:
        """Elementwise hull of two ranges of tensors that broadcast together."""
        return Range(np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi))


class Operator(Generic[A]):
    """One operator of the target. Stateless; the public methods take attributes as the format's strings.

    Subclasses give the ``_hooks``, which receive parsed attributes and inputs whose number is already checked.
    """

    name: ClassVar[str]
    attributes: type[A]
    arity: ClassVar[tuple[int, int]] = (1, 1)
    outputs: ClassVar[int] = 1
    in_place: ClassVar[bool] = False
    """Whether the output may lie in the storage of an input."""

    def parse(self, attrs: Mapping[str, str]) -> A:
        """Typed attributes; `CVMError` for unknown, missing, malformed or illegal ones."""
        return parse_attributes(self.attributes, attrs)

    def infer_shape(self, attrs: Mapping[str, str], shapes: Sequence[Shape]) -> list[Shape]:
        """Output shapes; `CVMError` where the operator or the format's limits forbid them."""
        low, high = self.arity
        expected = f"{low}" if low == high else f"{low} or more" if high > 3 else f"{low} to {high}"
        require(low <= len(shapes) <= high, f"expects {expected} inputs, got {len(shapes)}")
        for shape in shapes:
            check_shape(tuple(shape))
        result = self._shape(self.parse(attrs), [tuple(shape) for shape in shapes])
        for shape in result:
            check_shape(shape)
        return result

    def infer_precision(
        self, attrs: Mapping[str, str], precisions: Sequence[int], shapes: Sequence[Shape]
    ) -> list[int]:
        """Output precisions from those of the inputs and the input shapes; `CVMError` outside 1..32."""
        for precision in precisions:
            check_precision(precision, "input")
        result = self._precision(self.parse(attrs), list(precisions), list(shapes))
        for precision in result:
            check_precision(precision, "inferred output")
        return result

    def infer_range(self, attrs: Mapping[str, str], ranges: Sequence[Range], shapes: Sequence[Shape]) -> list[Range]:
        """Proven output ranges from those of the inputs and the input shapes; known inputs give known outputs."""
        if all(r.is_constant(tuple(shape)) for r, shape in zip(ranges, shapes)):
            return [Range.constant(value) for value in self.formal(attrs, [r.lo.astype(np.int32) for r in ranges])]
        return self._range(self.parse(attrs), list(ranges), [tuple(shape) for shape in shapes])

    def accumulator_bound(self, attrs: Mapping[str, str], ranges: Sequence[Range], shapes: Sequence[Shape]) -> int:
        """Largest |value| any int32 intermediate can take, whatever the order of summation."""
        return self._bound(self.parse(attrs), list(ranges), [tuple(shape) for shape in shapes])

    def formal(self, attrs: Mapping[str, str], inputs: Sequence[Array]) -> list[Array]:
        """Evaluate exactly: int32 arrays in, int32 arrays out."""
        return self._formal(self.parse(attrs), list(inputs))

    def macs(self, attrs: Mapping[str, str], shapes: Sequence[Shape]) -> int:
        """Multiply-adds of one evaluation; 0 for operators without products to sum."""
        return 0

    def charge(self, attrs: Mapping[str, str], shapes: Sequence[Shape]) -> int:
        """What the reference charges for each element of the (first) output, from the input shapes."""
        return self._charge(self.parse(attrs), [tuple(shape) for shape in shapes])

    def _charge(self, a: A, shapes: list[Shape]) -> int:
        return 1

    def _shape(self, a: A, shapes: list[Shape]) -> list[Shape]:
        raise NotImplementedError

    def _precision(self, a: A, precisions: list[int], shapes: list[Shape]) -> list[int]:
        raise NotImplementedError

    def _range(self, a: A, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        raise NotImplementedError

    def _bound(self, a: A, ranges: list[Range], shapes: list[Shape]) -> int:
        values = ranges + self._range(a, ranges, shapes)
        return max(r.magnitude() for r in values)

    def _formal(self, a: A, inputs: list[Array]) -> list[Array]:
        raise NotImplementedError


class Plain(Operator[NoAttributes]):
    """Base of the operators without attributes."""

    attributes = NoAttributes


class Unary(Operator[A]):
    """Base of the elementwise operators of one input that keep its shape."""

    def _shape(self, a: A, shapes: list[Shape]) -> list[Shape]:
        return [shapes[0]]

    def _precision(self, a: A, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]


class Monotone(Unary[A]):
    """Base of the non-decreasing elementwise operators: the ends of the range map to the ends of the range."""

    def _range(self, a: A, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [Range(self._map(a, ranges[0].lo), self._map(a, ranges[0].hi))]

    def _formal(self, a: A, inputs: list[Array]) -> list[Array]:
        return [self._map(a, inputs[0])]

    def _map(self, a: A, x: Array) -> Array:
        """The function itself, on int32 values or int64 bounds; keeps the type."""
        raise NotImplementedError
