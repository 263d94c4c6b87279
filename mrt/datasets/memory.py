"""The caller's own arrays as a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.ready import Ready
from mrt.errors import MRTError
from mrt.graph.batch import Feed, InputShape, Samples


class Memory(Ready):
    """Samples with their labels, as the network takes them: all of them in every split.

    Args:
        feed: an array, or a dict of arrays by input.
        labels: one for each sample.
        input_shape: as for any dataset.

    Raises:
        MRTError: there is not one label for each sample.
    """

    name = "given"

    def __init__(self, feed: Feed, labels: NDArray[Any], input_shape: InputShape) -> None:
        self._given, self._labels = feed, np.asarray(labels)
        super().__init__(None, input_shape)

    def _open(self) -> None:
        only = next(iter(self.inputs))
        self._feed = dict(self._given) if isinstance(self._given, Mapping) else {only: np.asarray(self._given)}
        self._samples = Samples(self.inputs)
        for name in self.inputs:
            self._ready(name, self._feed[name])
        if len(self._labels) != self.size("train"):
            raise MRTError(f"the data has {self.size('train')} samples and {len(self._labels)} labels")

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return self._samples.count(self._feed)

    def read(self, split: str, indices: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """See `Ready`."""
        self._require_split(split)
        return self._samples.take(self._feed, indices), self._labels[indices]
