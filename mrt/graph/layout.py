"""Which channel each element of a tensor belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrt.graph.channels import condensed
from mrt.graph.ir import Array, Shape


@dataclass(frozen=True)
class Layout:
    """The numbers of the channels of a tensor's elements.

    Attributes:
        ids: of the tensor's rank (batch 1); an axis has the tensor's size, or 1 where numbers are the same along it.
        axis: the one along which channels are removed.
        size: of the tensor along that axis.
    """

    ids: Array
    axis: int
    size: int

    @classmethod
    def of(cls, numbers: Array, prefer: int | None = None) -> Layout:
        """From the numbers of all elements; `axis` is the preferred one if the numbers vary along it, else the longest.

        Along the batch axis no channels are removed.
        """
        shape = numbers.shape
        ids = condensed(numbers)
        varying = [axis for axis in range(1, ids.ndim) if ids.shape[axis] > 1]
        axis = min(1, len(shape) - 1)
        if varying:
            axis = (
                prefer if prefer in varying else max(varying, key=lambda candidate: (ids.shape[candidate], candidate))
            )
        return cls(ids, axis, shape[axis])

    @classmethod
    def along(cls, ids: Array, axis: int, rank: int) -> Layout:
        """Channels along one axis of a tensor of `rank` axes."""
        return cls(ids.reshape([len(ids) if a == axis else 1 for a in range(rank)]), axis, len(ids))

    @property
    def vector(self) -> Array:
        """One number per position along the axis; the others of that position are tied to it."""
        return self.slices()[:, 0]

    def slices(self) -> Array:
        """All numbers by position along the axis, (size, n)."""
        moved = np.moveaxis(self.ids, self.axis, 0)
        moved = moved.reshape(moved.shape[0], -1)
        return np.broadcast_to(moved, (self.size, moved.shape[1]))

    @property
    def plain(self) -> bool:
        """Whether the numbers vary along no other axis."""
        return all(size == 1 for axis, size in enumerate(self.ids.shape) if axis != self.axis)

    def whole(self, shape: Shape) -> Array:
        """The numbers of all elements of a tensor of that shape."""
        return np.broadcast_to(self.ids, shape)

    def without(self, axes: Sequence[int], keep: bool) -> Layout:
        """After a reduction over other axes than `axis`."""
        ids = self.ids
        for axis in axes:
            ids = np.take(ids, [0], axis)
        if keep:
            return Layout(ids, self.axis, self.size)
        ids = ids.reshape([size for axis, size in enumerate(ids.shape) if axis not in axes])
        return Layout(ids, self.axis - sum(axis < self.axis for axis in axes), self.size)

    def part(self, axis: int, part: slice) -> Layout:
        """Of a slice along an axis."""
        ids = self.ids if self.ids.shape[axis] == 1 else self.ids[(slice(None),) * axis + (part,)]
        return Layout(ids, self.axis, len(range(*part.indices(self.size))) if axis == self.axis else self.size)

    def transposed(self, axes: Sequence[int]) -> Layout:
        """With the axes in that order."""
        return Layout(self.ids.transpose(axes), list(axes).index(self.axis), self.size)
