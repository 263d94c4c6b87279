"""What datasets of sentences share: each is a row of whole numbers, and of one class."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.datasets.metric import Metric, TopK


class Text(Dataset):
    """Sentences as numbers (N, length), with labels (N,); a subclass sets `_splits` when it is opened."""

    default = Preprocess(mean=(0.0,), std=(1.0,), scale=1.0)
    _splits: dict[str, tuple[NDArray[Any], NDArray[Any]]]

    def _complete(self, given: Preprocess) -> Preprocess:
        return self._unscaled(given, "numbers of words")

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return len(self._splits[split][1])

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Numbers (N, length) and labels (N,) of some sentences of a split."""
        self._require_split(split)
        numbers, labels = self._splits[split]
        return numbers[indices], labels[indices]

    def metric(self) -> Metric:
        """The share of sentences whose class is right."""
        return TopK((1,))
