"""reshape, squeeze, expand_dims, flatten, transpose, concatenate, repeat, tile: values move, none changes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import NoAttributes, axis_of, require, within
from cvm.ops.base import A, Array, Operator, Range, Shape

_EXPAND_LIMIT = 2**20  # elements; larger ranges collapse to one interval rather than be written out


class _Structural(Operator[A]):
    """Base of the operators that keep the precision of their one input."""

    def _precision(self, a: A, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _range(self, a: A, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [ranges[0].collapsed()]


class _Reshaping(_Structural[A]):
    """Base of the operators that only rename the axes: row-major order stays."""

    in_place = True

    def _range(self, a: A, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, shape = ranges[0], shapes[0]
        if (x.lo.size == 1 and x.hi.size == 1) or math.prod(shape) > _EXPAND_LIMIT:
            return [x.collapsed()]
        target = self._shape(a, shapes)[0]
        return [Range(np.broadcast_to(x.lo, shape).reshape(target), np.broadcast_to(x.hi, shape).reshape(target))]

    def _formal(self, a: A, inputs: list[Array]) -> list[Array]:
        return [inputs[0].reshape(self._shape(a, [inputs[0].shape])[0])]


@dataclass(frozen=True)
class ReshapeAttributes:
    """Attributes of reshape."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(len(self.shape) > 0, "attribute shape is empty")


class Reshape(_Reshaping[ReshapeAttributes]):
    """A new shape in MXNet's codes.

    0 keeps a dimension, -1 infers one, -2 keeps the rest, -3 merges two, -4 splits one into the next two.
    """

    name = "reshape"
    attributes = ReshapeAttributes

    def _shape(self, a: ReshapeAttributes, shapes: list[Shape]) -> list[Shape]:
        source = shapes[0]
        codes = list(a.shape)
        result: list[int] = []
        unknown = None
        at = 0  # next dimension of the source

        def take(count: int) -> Shape:
            nonlocal at
            require(at + count <= len(source), f"shape {a.shape} asks for more dimensions than {source} has")
            at += count
            return source[at - count : at]

        while codes:
            code = codes.pop(0)
            if code > 0:
                result.append(code)
                at += 1
            elif code == 0:
                result += take(1)
            elif code == -1:
                require(unknown is None, f"shape {a.shape}: only one dimension can be -1")
                unknown = len(result)
                result.append(1)
                at += 1
            elif code == -2:
                result += source[at:]
                at = len(source)
            elif code == -3:
                result.append(math.prod(take(2)))
            elif code == -4:
                require(len(codes) >= 2, f"shape {a.shape}: -4 needs two dimensions after it")
                result += _split(take(1)[0], codes.pop(0), codes.pop(0))
            else:
                require(False, f"shape {a.shape}: unknown code {code}")
        size, known = math.prod(source), math.prod(result)
        if unknown is not None and known > 0:
            result[unknown] = size // known
        require(math.prod(result) == size, f"shape {a.shape} does not fit the {size} elements of {source}")
        return [tuple(result)]


def _split(size: int, left: int, right: int) -> tuple[int, int]:
    require((left == -1) + (right == -1) <= 1, "both dimensions after -4 are -1")
    if left == -1 and right > 0:
        left = size // right
    if right == -1 and left > 0:
        right = size // left
    require(left > 0 and right > 0 and left * right == size, f"{left} x {right} does not split {size}")
    return left, right


@dataclass(frozen=True)
class SqueezeAttributes:
    """Attributes of squeeze; an empty axis means every axis of size 1."""

    axis: tuple[int, ...] = ()


class Squeeze(_Reshaping[SqueezeAttributes]):
    """Drop axes of size 1; a tensor that loses all of them keeps shape (1,)."""

    name = "squeeze"
    attributes = SqueezeAttributes

    def _shape(self, a: SqueezeAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        if a.axis:
            axes = {axis_of("axis", axis, len(x)) for axis in a.axis}
            require(all(x[i] == 1 for i in axes), f"axis {a.axis} of {x} is not of size 1")
        else:
            axes = {i for i, dim in enumerate(x) if dim == 1}
        return [tuple(dim for i, dim in enumerate(x) if i not in axes) or (1,)]


@dataclass(frozen=True)
class ExpandDimsAttributes:
    """Attributes of expand_dims."""

    axis: int
    num_newaxis: int = 1

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        within("num_newaxis", self.num_newaxis, 1, 4096)


class ExpandDims(_Reshaping[ExpandDimsAttributes]):
    """Insert `num_newaxis` axes of size 1 at `axis`."""

    name = "expand_dims"
    attributes = ExpandDimsAttributes

    def _shape(self, a: ExpandDimsAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        axis = axis_of("axis", a.axis, len(x) + 1)
        return [x[:axis] + (1,) * a.num_newaxis + x[axis:]]


class Flatten(_Reshaping[NoAttributes]):
    """(d0, d1, ..) -> (d0, d1 * ..)."""

    name = "flatten"
    attributes = NoAttributes

    def _shape(self, a: NoAttributes, shapes: list[Shape]) -> list[Shape]:
        return [(shapes[0][0], math.prod(shapes[0][1:]))]


@dataclass(frozen=True)
class TransposeAttributes:
    """Attributes of transpose; empty axes reverse them."""

    axes: tuple[int, ...] = ()


class Transpose(_Structural[TransposeAttributes]):
    """Permute the axes."""

    name = "transpose"
    attributes = TransposeAttributes

    def axes(self, a: TransposeAttributes, rank: int) -> tuple[int, ...]:
        """Which axis of the input each axis of the output is."""
        if not a.axes:
            return tuple(reversed(range(rank)))
        require(len(a.axes) == rank, f"axes {a.axes} do not match {rank} dimensions")
        axes = tuple(axis_of("axes", axis, rank) for axis in a.axes)
        require(len(set(axes)) == rank, f"axes {a.axes} repeat an axis")
        return axes

    def _shape(self, a: TransposeAttributes, shapes: list[Shape]) -> list[Shape]:
        return [tuple(shapes[0][i] for i in self.axes(a, len(shapes[0])))]

    def _range(self, a: TransposeAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        x, axes = ranges[0].aligned(shapes[0]), self.axes(a, len(shapes[0]))
        return [Range(x.lo.transpose(axes), x.hi.transpose(axes))]

    def _formal(self, a: TransposeAttributes, inputs: list[Array]) -> list[Array]:
        return [np.ascontiguousarray(inputs[0].transpose(self.axes(a, inputs[0].ndim)))]


@dataclass(frozen=True)
class ConcatenateAttributes:
    """Attributes of concatenate."""

    axis: int = 1


class Concatenate(Operator[ConcatenateAttributes]):
    """Join the inputs along an axis."""

    name = "concatenate"
    attributes = ConcatenateAttributes
    arity = (1, 2**16)

    def _shape(self, a: ConcatenateAttributes, shapes: list[Shape]) -> list[Shape]:
        first = shapes[0]
        axis = axis_of("axis", a.axis, len(first))
        for shape in shapes[1:]:
            same = len(shape) == len(first) and all(m == n for i, (m, n) in enumerate(zip(shape, first)) if i != axis)
            require(same, f"{shape} cannot join {first} along axis {axis}")
        return [(*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])]

    def _precision(self, a: ConcatenateAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [max(precisions)]

    def _range(self, a: ConcatenateAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        axis = axis_of("axis", a.axis, len(shapes[0]))
        parts = [r.along(shape, axis) for r, shape in zip(ranges, shapes)]
        return [Range(np.concatenate([p.lo for p in parts], axis), np.concatenate([p.hi for p in parts], axis))]

    def _formal(self, a: ConcatenateAttributes, inputs: list[Array]) -> list[Array]:
        return [np.concatenate(inputs, axis=a.axis)]


@dataclass(frozen=True)
class RepeatAttributes:
    """Attributes of repeat."""

    repeats: int
    axis: int = 0

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(self.repeats >= 1, "attribute repeats must be at least 1")


class Repeat(_Structural[RepeatAttributes]):
    """Repeat every element along an axis."""

    name = "repeat"
    attributes = RepeatAttributes

    def _shape(self, a: RepeatAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        axis = axis_of("axis", a.axis, len(x))
        return [(*x[:axis], x[axis] * a.repeats, *x[axis + 1 :])]

    def _formal(self, a: RepeatAttributes, inputs: list[Array]) -> list[Array]:
        return [np.repeat(inputs[0], a.repeats, axis=a.axis)]


@dataclass(frozen=True)
class TileAttributes:
    """Attributes of tile."""

    reps: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(len(self.reps) > 0, "attribute reps is empty")
        within("reps", self.reps, 1, 4096)


class Tile(_Structural[TileAttributes]):
    """Repeat the whole tensor, numpy's way."""

    name = "tile"
    attributes = TileAttributes

    def _shape(self, a: TileAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        rank = max(len(x), len(a.reps))
        dims, reps = (1,) * (rank - len(x)) + x, (1,) * (rank - len(a.reps)) + a.reps
        return [tuple(dim * count for dim, count in zip(dims, reps))]

    def _formal(self, a: TileAttributes, inputs: list[Array]) -> list[Array]:
        return [np.tile(inputs[0], a.reps)]
