"""elemwise_add/sub and broadcast_*: elementwise functions of two tensors (broadcasting is numpy's)."""

from __future__ import annotations

import numpy as np

from cvm.ops.attributes import NoAttributes, require
from cvm.ops.base import Array, Plain, Range, Shape, to_int32


class _Binary(Plain):
    """Broadcasting shape inference and int64 evaluation, shared by all of them."""

    arity = (2, 2)

    def _shape(self, a: NoAttributes, shapes: list[Shape]) -> list[Shape]:
        x, y = shapes
        rank = max(len(x), len(y))
        result = []
        for m, n in zip((1,) * (rank - len(x)) + x, (1,) * (rank - len(y)) + y):
            require(m == n or m == 1 or n == 1, f"shapes {x} and {y} do not broadcast")
            result.append(max(m, n))
        return [tuple(result)]

    def _formal(self, a: NoAttributes, inputs: list[Array]) -> list[Array]:
        return [to_int32(self._apply(inputs[0].astype(np.int64), inputs[1].astype(np.int64)))]

    def _apply(self, x: Array, y: Array) -> Array:
        raise NotImplementedError


class BroadcastAdd(_Binary):
    """a + b."""

    name = "broadcast_add"

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [max(precisions) + 1]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, y = ranges
        return [Range(x.lo + y.lo, x.hi + y.hi)]

    def _apply(self, x: Array, y: Array) -> Array:
        return x + y


class BroadcastSub(_Binary):
    """a - b."""

    name = "broadcast_sub"

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [max(precisions) + 1]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, y = ranges
        return [Range(x.lo - y.hi, x.hi - y.lo)]

    def _apply(self, x: Array, y: Array) -> Array:
        return x - y


class ElemwiseAdd(BroadcastAdd):
    """a + b of equal shapes."""

    name = "elemwise_add"
    in_place = True

    def _shape(self, a: NoAttributes, shapes: list[Shape]) -> list[Shape]:
        return _same_shape(shapes)


class ElemwiseSub(BroadcastSub):
    """a - b of equal shapes."""

    name = "elemwise_sub"
    in_place = True

    def _shape(self, a: NoAttributes, shapes: list[Shape]) -> list[Shape]:
        return _same_shape(shapes)


class BroadcastMul(_Binary):
    """a * b."""

    name = "broadcast_mul"

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [sum(precisions)]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, y = ranges
        corners = [x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi]
        return [_hull(corners)]

    def _apply(self, x: Array, y: Array) -> Array:
        return x * y


class BroadcastMax(_Binary):
    """max(a, b)."""

    name = "broadcast_max"

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [max(precisions)]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, y = ranges
        return [Range(np.maximum(x.lo, y.lo), np.maximum(x.hi, y.hi))]

    def _apply(self, x: Array, y: Array) -> Array:
        return np.maximum(x, y)


class BroadcastDiv(_Binary):
    """a / b truncated toward zero; x / 0 = 0."""

    name = "broadcast_div"

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, y = ranges
        # On divisors of one sign the quotient is monotone in both operands, so the ends of the negative part [lo, -1]
        # and of the positive part [1, hi] cover them; a zero divisor gives 0, which is the zero end's quotient or lies
        # between those of -1 and 1.
        divisors = [y.lo, y.hi, np.clip(-1, y.lo, y.hi), np.clip(1, y.lo, y.hi)]
        corners = [self._apply(end, divisor) for end in (x.lo, x.hi) for divisor in divisors]
        return [_hull(corners)]

    def _apply(self, x: Array, y: Array) -> Array:
        quotient: Array = np.sign(x) * np.sign(y) * (np.abs(x) // np.maximum(np.abs(y), 1))
        return quotient


class BroadcastGreater(_Binary):
    """1 where a > b, else 0.

    The target gives it a's precision, so a needs at least 2 bits for the 1 to be a legal value.
    """

    name = "broadcast_greater"

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        require(precisions[0] >= 2, "the first input needs a precision of at least 2 to hold the result 1")
        return [precisions[0]]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, y = ranges
        return [Range((x.lo > y.hi).astype(np.int64), (x.hi > y.lo).astype(np.int64))]

    def _apply(self, x: Array, y: Array) -> Array:
        return (x > y).astype(np.int64)


def _same_shape(shapes: list[Shape]) -> list[Shape]:
    require(shapes[0] == shapes[1], f"shapes {shapes[0]} and {shapes[1]} differ")
    return [shapes[0]]


def _hull(values: list[Array]) -> Range:
    return Range(np.minimum.reduce(np.broadcast_arrays(*values)), np.maximum.reduce(np.broadcast_arrays(*values)))
