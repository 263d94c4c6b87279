"""Batches of a network's input: one array, or several by name, each with its samples where its shape has -1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, Union, cast

import numpy as np
import numpy.typing as npt

from mrt.errors import MRTError

_Array = npt.NDArray[Any]
Feed = Union[_Array, Mapping[str, _Array]]
"""A batch of a network's inputs: an array where there is one input, else an array for each by its name."""

InputShape = Union[tuple[int, ...], Mapping[str, tuple[int, ...]]]
"""The shape of the only input, or shapes by the inputs' names; -1 marks the axis of the samples."""

_Same = TypeVar("_Same", bound=Feed)
_Item = TypeVar("_Item")
_FLOAT_BYTES = 4


class Samples:
    """Counts, takes and cuts the samples of a batch.

    Args:
        inputs: shapes of the network's inputs by name; -1 marks the axis of the samples.
    """

    def __init__(self, inputs: Mapping[str, tuple[int, ...]]) -> None:
        unmarked = [name for name, shape in inputs.items() if -1 not in shape]
        if unmarked:
            raise MRTError(f"input {unmarked[0]}: its shape has no -1, which marks the axis of the samples")
        self.axes = {name: shape.index(-1) for name, shape in inputs.items()}

    def count(self, feed: Feed) -> int:
        """How many samples a batch has.

        Raises:
            MRTError: its arrays have different numbers of them.
        """
        counts = {name: array.shape[axis] for name, array, axis in self._arrays(feed)}
        if len(set(counts.values())) > 1:
            raise MRTError(f"a batch has different numbers of samples in its inputs: {counts}")
        return next(iter(counts.values()))

    def take(self, feed: _Same, indices: Sequence[int] | _Array) -> _Same:
        """The samples of these numbers."""
        return self._each(feed, lambda array, axis: np.take(array, indices, axis))

    def pieces(self, feed: _Same, size: int) -> Iterator[_Same]:
        """The batch in pieces of at most `size` samples, in order."""
        return (self._cut(feed, part) for part in self.parts(feed, size))

    def last(self, batches: Iterable[_Same], count: int, whole: int) -> Iterator[_Same]:
        """The last `count` samples of batches that have `whole` in all."""
        before = 0
        for feed in batches:
            here = self.count(feed)
            skipped = min(max(whole - count - before, 0), here)
            before += here
            if skipped < here:
                yield self._cut(feed, slice(skipped, here))

    def parts(self, feed: Feed, size: int) -> list[slice]:
        """The sample numbers of each of `pieces`."""
        count = self.count(feed)
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def _cut(self, feed: _Same, part: slice) -> _Same:
        return self._each(feed, lambda array, axis: array[(slice(None),) * axis + (part,)])

    def _each(self, feed: _Same, change: Callable[[_Array, int], _Array]) -> _Same:
        changed = {name: change(array, axis) for name, array, axis in self._arrays(feed)}
        return cast(_Same, changed if isinstance(feed, Mapping) else next(iter(changed.values())))

    def _arrays(self, feed: Feed) -> list[tuple[str, _Array, int]]:
        if not isinstance(feed, Mapping):
            ((name, axis),) = self.axes.items()
            return [(name, feed, axis)]
        return [(name, feed[name], axis) for name, axis in self.axes.items()]


def float_bytes(shapes: Iterable[tuple[int, ...]]) -> int:
    """What float32 tensors of these shapes take together."""
    return _FLOAT_BYTES * sum(int(np.prod(shape)) for shape in shapes)


def runs(items: Iterable[_Item], size: Callable[[_Item], int], budget: int) -> Iterator[list[_Item]]:
    """Items in runs, in order: each fits in `budget`, or is one item alone."""
    run: list[_Item] = []
    held = 0
    for item in items:
        taken = size(item)
        if run and held + taken > budget:
            yield run
            run, held = [], 0
        run.append(item)
        held += taken
    if run:
        yield run


def fitting(shapes: Iterable[tuple[int, ...]], budget: int) -> int:
    """How many samples to run at a time, at least 1, so that float32 tensors fit in `budget` bytes.

    Args:
        shapes: of the tensors for one sample.
        budget: in bytes.
    """
    return max(1, budget // max(1, float_bytes(shapes)))
