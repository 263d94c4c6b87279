"""Metrics of segmentation: how well a map of classes is met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.bootstrap import Bootstrapped
from mrt.datasets.metric import holds_classes
from mrt.errors import MRTError

IGNORED = -1
"""The label of a pixel that is of no class, or of one that does not count."""
MIOU, PIXELS = "mIoU", "pixel accuracy"


class MeanIoU(Bootstrapped):
    """Mean intersection over union, and the share of pixels that are right, in [0, 1], over all pictures together.

    Of a class, the intersection over union is the number of pixels that are of it and are said to be, over those that
    are of it or are said to be (Everingham et al., The Pascal Visual Object Classes Challenge, 2015, section 3.3). The
    mean is over the classes that occur. Labels are (N, H, W), those below 0 do not count; outputs are scores
    (N, C, H, W), or classes (N, H, W) as whole numbers.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._counts: list[NDArray[Any]] = []  # of each picture: hits, pixels of a class, pixels said to be, by class

    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """See `Metric.update`; MRTError where the shapes or the labels do not fit."""
        problem = self.misfit(labels, [outputs])
        if problem:
            raise MRTError(problem)
        said = classes_of(outputs)
        count = 1 + int(max(said.max(initial=0), labels.max(initial=0)))
        if not holds_classes(outputs):
            count = outputs.shape[1]
        for truth, found in zip(labels, said):
            known = truth >= 0
            truth, found = truth[known], found[known]
            of_each = [np.bincount(each, minlength=count) for each in (truth[truth == found], truth, found)]
            self._counts.append(np.stack(of_each))

    def misfit(self, labels: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> str | None:
        """See `Metric.misfit`: outputs that are no map of classes of the labels' size, or of too few classes."""
        first = outputs[0]
        scores = not holds_classes(first)
        of_pixels = (first.shape[0], *first.shape[2:]) if scores else first.shape
        if first.ndim != (4 if scores else 3) or labels.shape != of_pixels:
            return (
                f"outputs of shape {first.shape} for labels of shape {labels.shape} are no class scores of pixels, "
                "which are (N, classes, H, W) for labels (N, H, W)"
            )
        if labels.dtype.kind not in "iu":
            return "the labels are no whole numbers, so no classes"
        highest = int(labels.max(initial=0))
        if scores and highest >= first.shape[1]:
            return f"labels up to {highest}, but {first.shape[1]} outputs a pixel, counted from 0"
        return None

    def values(self) -> dict[str, float]:
        """See `Metric.values`."""
        miou, pixels = _scores(self._table().sum(axis=0)[None])
        return {MIOU: float(miou[0]), PIXELS: float(pixels[0])}

    def pictures(self) -> int:
        """See `Bootstrapped.pictures`."""
        return len(self._counts)

    def drawn(self, often: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """See `Bootstrapped.drawn`."""
        table = self._table()
        drawn = (often @ table.reshape(len(table), -1)).reshape(len(often), *table.shape[1:])
        return dict(zip((MIOU, PIXELS), _scores(drawn)))

    def _table(self) -> NDArray[Any]:
        """Of each picture, hits, pixels of a class and pixels said to be: (N, 3, classes)."""
        if not sum(int(counts[1].sum()) for counts in self._counts):
            raise MRTError("metric mIoU: none of the pictures has a pixel of a class; evaluate more of them")
        count = max(counts.shape[1] for counts in self._counts)
        return np.stack([np.pad(counts, ((0, 0), (0, count - counts.shape[1]))) for counts in self._counts])


def classes_of(outputs: NDArray[Any]) -> NDArray[Any]:
    """The class of each pixel (N, ...): of scores (N, C, ...), the first of the highest; whole numbers are classes."""
    found: NDArray[Any] = outputs if holds_classes(outputs) else outputs.argmax(axis=1)
    return found


def _scores(counts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean intersection over union and share of pixels that are right, of (N, 3, classes)."""
    hits, truth, said = (counts[:, index].astype(np.float64) for index in range(3))
    union = truth + said - hits
    ratios = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
    return np.nanmean(ratios, axis=1), hits.sum(axis=1) / np.maximum(truth.sum(axis=1), 1)
