"""Metrics: how good a network's outputs are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.errors import MRTError


class Metric(ABC):
    """A running score over batches; `primary` names the value that the dataset's results are compared by."""

    primary: str

    @abstractmethod
    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Adds a batch: the dataset's labels, and what `select` took of the network's outputs, float or integer.

        For classification: class indices (N,) and outputs (N, classes).
        """

    def select(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """What `update` takes of all the network's outputs: the first."""
        return outputs[0]

    def suits(self, labels: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> bool:
        """Whether a network with these outputs is of the kind that the metric is for."""
        return True

    @abstractmethod
    def values(self) -> dict[str, float]:
        """Every value by name, over all batches so far; MRTError where there was none."""


class TopK(Metric):
    """Share of the pictures whose label is among the k highest outputs, in [0, 1], as "top1", "top5" and so on.

    Of equal outputs the lower class index comes first, as with argmax. The comparison is made in the outputs' own
    type (metrics that go through float32 cannot tell large integers apart), and a NaN never counts as a hit.
    """

    primary = "top1"

    def __init__(self, ks: tuple[int, ...]) -> None:
        """Counts hits for each of ``ks``."""
        self.hits = dict.fromkeys(ks, 0)
        self.samples = 0

    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """See `Metric.update`; MRTError where the shapes or the class indices do not fit."""
        if outputs.ndim != 2 or labels.shape != outputs.shape[:1]:
            raise MRTError(
                f"metric top-k: outputs of shape {outputs.shape} for labels of shape {labels.shape}; "
                "the network must give one row of class scores for each picture"
            )
        classes = outputs.shape[1]
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise MRTError(
                f"metric top-k: class indices {labels.min()} to {labels.max()} for a network with {classes} classes; "
                "check the label offset"
            )
        own = np.take_along_axis(outputs, labels[:, None], axis=1)
        tied_before = (outputs == own) & (np.arange(classes) < labels[:, None])
        rank = (~(outputs <= own) | tied_before).sum(axis=1)
        for k in self.hits:
            self.hits[k] += int((rank < k).sum())
        self.samples += len(labels)

    def suits(self, labels: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> bool:
        """Not where the first output is no row of scores, nor where it is one of several and has too few classes."""
        first = outputs[0]
        return first.ndim == 2 and (len(outputs) == 1 or int(labels.max(initial=0)) < first.shape[1])

    def values(self) -> dict[str, float]:
        """See `Metric.values`."""
        if not self.samples:
            raise MRTError("metric top-k: no pictures were evaluated; ask for at least one")
        return {f"top{k}": hits / self.samples for k, hits in self.hits.items()}
