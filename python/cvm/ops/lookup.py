"""take, cvm_lut, where: values chosen by other values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import NoAttributes, axis_of, require
from cvm.ops.base import Array, Operator, Plain, Range, Shape


@dataclass(frozen=True)
class TakeAttributes:
    """Attributes of take; no axis means the flattened data."""

    axis: int | None = None


class Take(Operator[TakeAttributes]):
    """data[indices] along an axis; indices are clamped to the axis."""

    name = "take"
    attributes = TakeAttributes
    arity = (2, 2)

    def _shape(self, a: TakeAttributes, shapes: list[Shape]) -> list[Shape]:
        data, indices = shapes
        if a.axis is None:
            return [indices]
        axis = axis_of("axis", a.axis, len(data))
        return [data[:axis] + indices + data[axis + 1 :]]

    def _precision(self, a: TakeAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _range(self, a: TakeAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [ranges[0].collapsed()]

    def _bound(self, a: TakeAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        return ranges[0].magnitude()

    def _formal(self, a: TakeAttributes, inputs: list[Array]) -> list[Array]:
        data, indices = inputs
        return [np.take(data, indices, axis=a.axis, mode="clip")]


@dataclass(frozen=True)
class CVMLutAttributes:
    """Attributes of cvm_lut."""

    in_dim: int


class CVMLut(Operator[CVMLutAttributes]):
    """table[index], the index clamped to the table."""

    name = "cvm_lut"
    attributes = CVMLutAttributes
    arity = (2, 2)

    def _shape(self, a: CVMLutAttributes, shapes: list[Shape]) -> list[Shape]:
        size = math.prod(shapes[1])
        require(size == a.in_dim, f"in_dim={a.in_dim} differs from the table's {size} elements")
        return [shapes[0]]

    def _precision(self, a: CVMLutAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[1]]

    def _range(self, a: CVMLutAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        index, table = ranges
        if not table.is_constant(shapes[1]):
            return [table.collapsed()]
        first, last = (min(max(end, 0), a.in_dim - 1) for end in (index.min(), index.max()))
        reached = table.lo.ravel()[first : last + 1]
        return [Range.of(reached.min(), reached.max())]

    def _bound(self, a: CVMLutAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        return ranges[1].magnitude()

    def _formal(self, a: CVMLutAttributes, inputs: list[Array]) -> list[Array]:
        return [np.take(inputs[1], inputs[0], mode="clip")]


class Where(Plain):
    """a where the condition is not 0, else b; a 1-D condition chooses rows.

    The target gives the result the condition's precision, so that must be at least the values'. The reference's
    runtimes copy only part of the rows for a 1-D condition: an exported model must not have one.
    """

    name = "where"
    arity = (3, 3)

    def _shape(self, a: NoAttributes, shapes: list[Shape]) -> list[Shape]:
        condition, x, y = shapes
        require(x == y, f"values {x} and {y} differ in shape")
        require(
            condition == x or condition == x[:1],
            f"the condition {condition} must have the values' shape {x} or their first dimension {x[:1]}",
        )
        return [x]

    def _precision(self, a: NoAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        condition, values = precisions[0], max(precisions[1:])
        require(
            condition >= values,
            f"the condition's precision {condition} must be at least the values' {values}, as the result takes it",
        )
        return [condition]

    def _range(self, a: NoAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [ranges[1].union(ranges[2])]

    def _formal(self, a: NoAttributes, inputs: list[Array]) -> list[Array]:
        condition, x, y = inputs
        return [np.where(condition.reshape(condition.shape + (1,) * (x.ndim - condition.ndim)) != 0, x, y)]
