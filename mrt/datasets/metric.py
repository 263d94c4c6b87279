"""Metrics: how good a network's outputs are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.errors import MRTError

Interval = tuple[float, float]
_BEST_ALONE = 2  # classes are told apart by the best one
_CLASSES_AXES = (1, 3)


class Metric(ABC):
    """A running score over batches.

    Attributes:
        percent: whether the values are parts of a whole, from 0 to 1.
    """

    percent: bool = True

    @abstractmethod
    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Adds a batch: the dataset's labels, and what `select` took of the network's outputs, float or integer.

        For classification: class indices (N,) and outputs (N, classes), or of a model that ends in argmax, whole
        numbers (N,), which are classes themselves.
        """

    def select(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """What `update` takes of all the network's outputs: the first."""
        return outputs[0]

    def misfit(self, labels: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> str | None:
        """Why it cannot judge these outputs, of a first batch, on these labels; None where it can."""
        try:
            self.select(outputs)
        except MRTError as error:
            return str(error)
        return None

    @abstractmethod
    def values(self) -> dict[str, float]:
        """Every value by name, over all batches so far, the main one first; MRTError where there was none."""

    def intervals(self) -> dict[str, Interval]:
        """The 95 % intervals of those values that have one."""
        return {}

    def losses(self, reference: Metric) -> dict[str, Interval]:
        """Likewise, of what each value is below that of `reference`, which judged the same samples."""
        return {}


class TopK(Metric):
    """Share of the pictures whose label is among the k highest outputs, in [0, 1], as "top1", "top5" and so on.

    Of equal scores the lower class index comes first, as with argmax. The comparison is made in the outputs' own
    type (metrics that go through float32 cannot tell large integers apart), and a NaN never counts as a hit. Outputs
    (N, C, H, W) with labels (N, H, W) are judged pixel by pixel. Where outputs are classes themselves, k is 1.
    """

    def __init__(self, ks: tuple[int, ...]) -> None:
        """Counts hits for each of ``ks``."""
        self.hits = dict.fromkeys(ks, 0)
        self.samples = 0
        self._classes = max(ks) + 1

    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """See `Metric.update`; MRTError where the shapes or the class indices do not fit."""
        problem = self.misfit(labels, [outputs])
        if problem:
            raise MRTError(problem)
        self.samples += labels.size
        if holds_classes(outputs):
            self.hits[1] += int((outputs == labels).sum())
            self._classes = _BEST_ALONE
            return
        scores = np.moveaxis(outputs, 1, -1)
        truth = labels.astype(np.int64)[..., None]
        own = np.take_along_axis(scores, truth, axis=-1)
        tied_before = (scores == own) & (np.arange(scores.shape[-1]) < truth)
        rank = (~(scores <= own) | tied_before).sum(axis=-1)
        for k in self.hits:
            self.hits[k] += int((rank < k).sum())
        self._classes = scores.shape[-1]

    def misfit(self, labels: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> str | None:
        """See `Metric.misfit`: outputs that are no scores for each label's place, or of too few classes."""
        first = outputs[0]
        if holds_classes(first):
            if first.shape == labels.shape and 1 in self.hits:
                return None
            return f"outputs are classes of shape {first.shape}, for labels of shape {labels.shape}, and only for top-1"
        if first.ndim < 2 or labels.shape != (first.shape[0], *first.shape[2:]):
            return (
                f"outputs of shape {first.shape} for labels of shape {labels.shape} are no class scores, "
                "which are one row for each picture"
            )
        if labels.dtype.kind not in "iu":
            return "the labels are no whole numbers, so no classes"
        lowest, highest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if lowest < 0 or highest >= first.shape[1]:
            return f"labels from {lowest} to {highest}, but {first.shape[1]} outputs a picture, counted from 0"
        return None

    def values(self) -> dict[str, float]:
        """See `Metric.values`; a k that is no less than the number of classes says nothing and is left out."""
        if not self.samples:
            raise MRTError("metric top-k: no pictures were evaluated; ask for at least one")
        return {
            f"top{k}": hits / self.samples for k, hits in self.hits.items() if k < self._classes or len(self.hits) == 1
        }


def holds_classes(outputs: NDArray[Any]) -> bool:
    """Whether outputs are classes themselves, whole numbers (N,) or (N, H, W), and not scores of classes."""
    return outputs.dtype.kind in "iu" and outputs.ndim in _CLASSES_AXES
