"""The caller's own data, as the stages read it: arrays, batches, loaders, datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mrt.datasets.base import Preprocess
from mrt.errors import MRTError
from mrt.graph import Array, Shape
from mrt.graph.batch import Feed, Samples
from mrt.integer.pixels import Pixels


class Given:
    """Data in memory, with labels where there are some (`mrt.run.sample_source.SampleSource`).

    Args:
        data: what the caller has; see `mrt.quantize`.
        inputs: shapes of the network's inputs by name, -1 marking the axis of the samples.
        batch: samples to run at a time.
        most: how many to use at most; None for all.
        preprocess: what makes the only input of the data, where that is bytes (uint8) of pictures.
        pixels: the inputs that were made of bytes already, and how.

    Raises:
        MRTError: there are no samples, or they do not fit the network's inputs.
    """

    def __init__(
        self,
        data: Any,
        inputs: Mapping[str, Shape],
        batch: int = 16,
        most: int | None = None,
        preprocess: Preprocess | None = None,
        pixels: Mapping[str, Pixels] | None = None,
    ) -> None:
        self._inputs = dict(inputs)
        self._made = made_of_pixels(preprocess, self._inputs) if preprocess else None
        self.pixels = dict(pixels or ({next(iter(inputs)): self._made} if self._made else {}))
        self._samples = Samples(inputs)
        self.batch = batch
        parts = [(self._feed(feed), labels) for feed, labels in _parts(data, self._inputs)]
        if not parts:
            raise MRTError("the data has no samples")
        self._data = _joined([feed for feed, _ in parts], self._samples.axes)
        known = [labels for _, labels in parts if labels is not None]
        self.labelled_too = len(known) == len(parts)
        count = self._samples.count(self._data)
        self._labels = np.concatenate([np.atleast_1d(part) for part in known]) if self.labelled_too else np.zeros(count)
        if len(self._labels) != count:
            raise MRTError(f"the data has {count} samples and {len(self._labels)} labels")
        self.calibrated = count if most is None else min(count, most)

    def labelled(self, count: int) -> Iterator[tuple[Feed, Array]]:
        """The first `count` samples with their labels (0 where there are none), in batches."""
        whole = self.first(count)
        for part, feed in zip(self._samples.parts(whole, self.batch), self._samples.pieces(whole, self.batch)):
            yield feed, self._labels[part]

    def batches(self, count: int) -> Iterator[Feed]:
        """Likewise, without labels."""
        return (feed for feed, _ in self.labelled(count))

    def first(self, count: int) -> Feed:
        """The first `count` samples, together; all where there are fewer."""
        return next(self._samples.pieces(self._data, max(1, min(count, self._samples.count(self._data)))))

    def _feed(self, feed: Feed) -> Feed:
        """A batch, checked; a single sample becomes a batch of one."""
        if isinstance(feed, Mapping):
            missing = [name for name in self._inputs if name not in feed]
            if missing:
                raise MRTError(f"the data has no {missing[0]}, an input of the network; it has {', '.join(feed)}")
            arrays = {name: self._array(name, feed[name]) for name in self._inputs}
            return arrays if len(arrays) > 1 else next(iter(arrays.values()))
        if len(self._inputs) > 1:
            raise MRTError(f"the network has the inputs {', '.join(self._inputs)}: give a dict with an array for each")
        return self._array(next(iter(self._inputs)), feed)

    def _array(self, name: str, given: Any) -> Array:
        array, shape = _numpy(given), self._inputs[name]
        if array.ndim == len(shape) - 1:
            array = np.expand_dims(array, shape.index(-1))
        if array.ndim != len(shape) or any(d not in (-1, size) for d, size in zip(shape, array.shape)):
            raise MRTError(f"data of shape {array.shape} for input {name} of shape {shape}")
        if not np.isfinite(array).all():
            raise MRTError(f"the data of input {name} has values that are not finite")
        return self._made.real(array) if self._made and array.dtype == np.uint8 else array


def made_of_pixels(preprocess: Preprocess, inputs: Mapping[str, Shape]) -> Pixels:
    """How a preprocessing makes the network's input of bytes.

    Raises:
        MRTError: there are several inputs, or mean and std do not suit its channels.
    """
    (name, shape), *others = inputs.items()
    mean, std, scale = preprocess.mean or (0.0,), preprocess.std or (1.0,), preprocess.scale or 1.0
    if others or len(shape) < 2 or shape[0] != -1:
        raise MRTError("preprocess: is for a network of one input of shape (-1, channels, ...)")
    if any(len(numbers) not in (1, shape[1]) for numbers in (mean, std)):
        raise MRTError(f"preprocess: mean and std must have one value, or one for each channel of {name}: {shape[1]}")
    if min(std) <= 0 or scale <= 0:
        raise MRTError("preprocess: std and scale must be above 0")
    return Pixels.normalised(mean, std, scale)


def _parts(data: Any, inputs: Mapping[str, Shape]) -> Iterator[tuple[Any, Array | None]]:
    """The pieces in which data comes, each with its labels or None."""
    if isinstance(data, Mapping) or _is_array(data):
        yield data, None
    elif isinstance(data, tuple) and len(data) == 2 and _is_pair(data, inputs):
        yield data[0], _numpy(data[1])
    elif isinstance(data, Iterable):
        for item in data:
            if isinstance(item, (tuple, list)) and not _is_array(item):
                if len(item) != 2:
                    raise MRTError(f"the data gives {len(item)} things at a time: give arrays or (array, label) pairs")
                yield item[0], _numpy(item[1])
            else:
                yield item, None
    else:
        raise MRTError(f"{type(data).__name__} is no data: give an array, a dict of arrays, or what yields arrays")


def _is_pair(data: tuple[Any, Any], inputs: Mapping[str, Shape]) -> bool:
    """Whether two things are data with labels, and not two samples or batches."""
    first, second = data
    if isinstance(first, Mapping):
        return not isinstance(second, Mapping)
    rank = len(next(iter(inputs.values())))
    return _is_array(first) and np.ndim(first) == rank and np.ndim(second) < rank


def _is_array(item: Any) -> bool:
    return hasattr(item, "shape") and hasattr(item, "dtype")


def _numpy(item: Any) -> Array:
    array: Array = item.asnumpy() if hasattr(item, "asnumpy") else np.asarray(item)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind not in "iufb":
        raise MRTError(f"data of type {array.dtype} is no numbers")
    return array


def _joined(feeds: Sequence[Feed], axes: Mapping[str, int]) -> Feed:
    named = [feed if isinstance(feed, Mapping) else dict.fromkeys(axes, feed) for feed in feeds]
    joined = {name: np.concatenate([feed[name] for feed in named], axis) for name, axis in axes.items()}
    return joined if isinstance(feeds[0], Mapping) else next(iter(joined.values()))
