"""strided_slice and slice_like: parts of a tensor."""

from __future__ import annotations

from dataclasses import dataclass

from cvm.ops.attributes import axis_of, require
from cvm.ops.base import A, Array, Operator, Range, Shape


def _cut(x: Range, shape: Shape, index: tuple[slice, ...]) -> Range:
    """The range of x[index]; axes along which a bound does not vary stay as they are."""
    full = x.aligned(shape)
    lo = full.lo[tuple(s if dim > 1 else slice(None) for s, dim in zip(index, full.lo.shape))]
    hi = full.hi[tuple(s if dim > 1 else slice(None) for s, dim in zip(index, full.hi.shape))]
    return Range(lo, hi)


class _Slice(Operator[A]):
    """Base of the operators that take one slice of each axis of their first input."""

    def index(self, a: A, shapes: list[Shape]) -> tuple[slice, ...]:
        """The slice of each axis, its ends within the axis (no end: down to index 0, by a negative stride)."""
        raise NotImplementedError

    def _shape(self, a: A, shapes: list[Shape]) -> list[Shape]:
        index = self.index(a, shapes)
        return [tuple(len(range(*s.indices(dim))) for s, dim in zip(index, shapes[0]))]

    def _precision(self, a: A, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _range(self, a: A, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [_cut(ranges[0], shapes[0], self.index(a, shapes))]

    def _formal(self, a: A, inputs: list[Array]) -> list[Array]:
        return [inputs[0][self.index(a, [x.shape for x in inputs])].copy()]


@dataclass(frozen=True)
class StridedSliceAttributes:
    """Attributes of strided_slice; axes beyond the given ones are taken whole."""

    begin: tuple[int, ...]
    end: tuple[int, ...]
    stride: tuple[int, ...] = ()


class StridedSlice(_Slice[StridedSliceAttributes]):
    """x[begin:end:stride] per axis.

    Negative begin and end count from the end of the axis, then both are clamped to it: to [0, dim] for a positive
    stride, to [-1, dim - 1] for a negative one (so -dim - 1 is the end that includes index 0). An empty result is
    refused.
    """

    name = "strided_slice"
    attributes = StridedSliceAttributes

    def index(self, a: StridedSliceAttributes, shapes: list[Shape]) -> tuple[slice, ...]:
        """As the attributes say."""
        shape = shapes[0]
        rank = len(shape)
        for name in ("begin", "end", "stride"):
            require(len(getattr(a, name)) <= rank, f"attribute {name} has more values than {shape} has dimensions")
        begins = a.begin + (0,) * (rank - len(a.begin))
        ends = a.end + shape[len(a.end) :]
        strides = a.stride + (1,) * (rank - len(a.stride))
        index = []
        for axis, (dim, begin, end, stride) in enumerate(zip(shape, begins, ends, strides)):
            require(stride != 0, f"stride of axis {axis} is 0")
            low, high = (0, dim) if stride > 0 else (-1, dim - 1)
            start = min(max(begin + dim if begin < 0 else begin, low), high)
            stop = min(max(end + dim if end < 0 else end, low), high)
            require(start < stop if stride > 0 else start > stop, f"axis {axis}: [{begin}, {end}) is empty")
            index.append(slice(start, None if stop < 0 else stop, stride))
        return tuple(index)


@dataclass(frozen=True)
class SliceLikeAttributes:
    """Attributes of slice_like; an empty axis means every axis both tensors have."""

    axis: tuple[int, ...] = ()


class SliceLike(_Slice[SliceLikeAttributes]):
    """The leading part of x with the second input's size along the axes."""

    name = "slice_like"
    attributes = SliceLikeAttributes
    arity = (2, 2)

    def index(self, a: SliceLikeAttributes, shapes: list[Shape]) -> tuple[slice, ...]:
        """As the second shape says."""
        x, like = shapes
        if a.axis:
            axes = [axis_of("axis", axis, len(x)) for axis in a.axis]
            require(all(axis < len(like) for axis in axes), f"axis {a.axis} is beyond the dimensions of {like}")
        else:
            axes = list(range(min(len(x), len(like))))
        require(all(like[i] <= x[i] for i in axes), f"{like} exceeds {x} along axis {tuple(axes)}")
        return tuple(slice(0, like[i] if i in axes else dim) for i, dim in enumerate(x))
