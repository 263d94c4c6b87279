"""Metrics of object detection. A detector's outputs, joined on the last axis, are rows (class, score, corners)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.bootstrap import Bootstrapped
from mrt.datasets.metric import Metric
from mrt.errors import MRTError
from mrt.packages import prepare_gluoncv

_ROW = 6
_RECALLS = np.arange(0.0, 1.1, 0.1)


class DetectionMetric(Metric):
    """What the metrics of detection share."""

    def select(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """All outputs, joined: class numbers (N, K, 1), below 0 where there is no box, scores (N, K, 1), (N, K, 4)."""
        shapes = [output.shape for output in outputs]
        if any(len(shape) != 3 for shape in shapes) or sum(shape[-1] for shape in shapes) != _ROW:
            raise MRTError(
                f"metric mAP: outputs of shapes {shapes}; a detector must give class numbers (N, K, 1), "
                "scores (N, K, 1) and corners (N, K, 4)"
            )
        return np.concatenate(outputs, axis=-1)


class VOC07(DetectionMetric, Bootstrapped):
    """Pascal VOC 2007's mean average precision: at 11 recalls, boxes that overlap by half; by GluonCV.

    Labels are (N, M, 6): corners in the network's input, class number (-1 pads), whether it is difficult.

    Args:
        classes: their names.
        size: width and height of the network's input, to which boxes are cut.
    """

    def __init__(self, classes: Sequence[str], size: tuple[int, int]) -> None:
        prepare_gluoncv()
        from gluoncv.utils.metrics.voc_detection import VOC07MApMetric  # takes seconds

        self._size = np.array([*size, *size], np.float64)
        self._metric = VOC07MApMetric(iou_thresh=0.5, class_names=list(classes))
        self._positives = np.empty((0, len(classes)))  # objects of each picture by class, but the difficult ones
        self._seen_in: dict[int, list[int]] = {}  # of each class, the picture of each box, in GluonCV's order
        self._objects = 0

    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """See `Metric.update`."""
        corners = np.clip(outputs[:, :, 2:].astype(np.float64), 0, self._size)
        self._objects += int((labels[:, :, 4] >= 0).sum())
        counted = (labels[:, :, 4, None] == np.arange(self._positives.shape[1])) & (labels[:, :, 5, None] == 0)
        for number, rows in enumerate(zip(corners, outputs, labels), len(self._positives)):
            boxes, found, real = (each[None] for each in rows)
            self._metric.update(boxes, found[..., 0], found[..., 1], real[..., :4], real[..., 4], real[..., 5])
            for name, scores in self._metric._score.items():
                seen = self._seen_in.setdefault(name, [])
                seen += [number] * (len(scores) - len(seen))
        self._positives = np.concatenate([self._positives, counted.sum(axis=1)])

    def values(self) -> dict[str, float]:
        """The mean over the classes that occur, in [0, 1]."""
        if not self._objects:
            raise MRTError("metric mAP: none of the pictures shows an object; evaluate more of them")
        return {"mAP": float(self._metric.get()[1][-1])}

    def pictures(self) -> int:
        """See `Bootstrapped.pictures`."""
        return len(self._positives)

    def drawn(self, often: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """See `Bootstrapped.drawn`."""
        positives = often @ self._positives
        of_each = [self._drawn(name, often, positives[:, name]) for name in range(positives.shape[1])]
        with np.errstate(invalid="ignore", divide="ignore"):
            occurs = positives > 0
            return {"mAP": np.where(occurs, np.stack(of_each, axis=1), 0).sum(axis=1) / occurs.sum(axis=1)}

    def _drawn(self, name: int, often: NDArray[Any], positives: NDArray[Any]) -> NDArray[Any]:
        """A class's average precision at 11 recalls, in each draw."""
        order = np.array(self._metric._score[name]).argsort()[::-1]
        if not len(order):
            return np.zeros(len(often))
        match, pictures = np.array(self._metric._match[name])[order], np.array(self._seen_in[name])[order]
        found = np.empty(len(often))
        for draw, (counts, objects) in enumerate(zip(often, positives)):  # one by one: all at once is gigabytes
            weights = counts[pictures]
            hits, misses = np.cumsum(weights * (match == 1)), np.cumsum(weights * (match == 0))
            precision = hits / np.maximum(hits + misses, 1)
            best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
            found[draw] = best[np.searchsorted(hits / max(objects, 1), _RECALLS)].mean()
        return found


class CocoAP(DetectionMetric, Bootstrapped):
    """COCO's average precision over overlaps of 0.5 to 0.95, and at 0.5, by pycocotools.

    Labels are (N, 3): number of the picture, its width and height, to which corners are brought back.

    Args:
        truth: pycocotools' `COCO`.
        categories: the category of each class number.
        size: width and height of the network's input.
    """

    def __init__(self, truth: Any, categories: Sequence[int], size: tuple[int, int]) -> None:
        self._truth = truth
        self._categories = np.asarray(categories)
        self._size = size
        self._pictures: list[int] = []
        self._found: list[NDArray[Any]] = [np.empty((0, 7))]
        self._judge: Any | None = None

    def update(self, labels: NDArray[Any], outputs: NDArray[Any]) -> None:
        """See `Metric.update`."""
        width, height = self._size
        self._judge = None
        for (picture, *real), rows in zip(labels.tolist(), outputs):
            rows = rows[rows[:, 0] >= 0].astype(np.float64)
            if rows.size and rows[:, 0].max() >= len(self._categories):
                raise MRTError(f"metric mAP: class {int(rows[:, 0].max())} of {len(self._categories)} classes")
            limits = np.array([width, height, width, height])
            corners = np.clip(rows[:, 2:], 0, limits) * (np.array([*real, *real]) / limits)
            sides = corners[:, 2:] - corners[:, :2] + 1  # GluonCV's corners are those of pixels, both inside
            category = self._categories[rows[:, 0].astype(int)]
            self._found.append(
                np.column_stack([np.full(len(rows), picture), corners[:, :2], sides, rows[:, 1], category])
            )
            self._pictures.append(picture)

    def values(self) -> dict[str, float]:
        """Both in [0, 1]."""
        judge = self._judged()
        if judge is None:
            return {"mAP": 0.0, "mAP50": 0.0}
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its steps and a table
            judge.accumulate()
            judge.summarize()
        return {"mAP": float(judge.stats[0]), "mAP50": float(judge.stats[1])}

    def pictures(self) -> int:
        """See `Bootstrapped.pictures`."""
        return len(self._pictures)

    def drawn(self, often: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """See `Bootstrapped.drawn`."""
        judge = self._judged()
        if judge is None:
            return {"mAP": np.zeros(len(often)), "mAP50": np.zeros(len(often))}
        often = often[:, np.argsort(self._pictures)]  # pycocotools takes pictures in the order of their numbers
        pictures, areas = often.shape[1], len(judge.params.areaRng)
        overlaps, recalls = len(judge.params.iouThrs), judge.params.recThrs
        of_each = [
            _average_precisions(judge.evalImgs[start : start + pictures], overlaps, recalls, often)
            for start in range(0, len(judge.evalImgs), areas * pictures)  # of all areas the first is all sizes
        ]
        found = np.stack(of_each)
        return {"mAP": np.nanmean(found, axis=(0, 2)), "mAP50": np.nanmean(found[:, :, 0], axis=0)}

    def _judged(self) -> Any | None:
        """pycocotools' evaluation of each picture, None where nothing was found."""
        from pycocotools.cocoeval import COCOeval

        found = np.concatenate(self._found)
        if not any(self._truth.getAnnIds(imgIds=self._pictures)):
            raise MRTError("metric mAP: none of the pictures shows an object; evaluate more of them")
        if self._judge is None and len(found):
            with contextlib.redirect_stdout(io.StringIO()):
                self._judge = COCOeval(self._truth, self._truth.loadRes(found), "bbox")
                self._judge.params.imgIds = sorted(self._pictures)
                self._judge.evaluate()
        return self._judge


def _average_precisions(
    judged: Sequence[Mapping[str, Any] | None], overlaps: int, recalls: NDArray[Any], often: NDArray[Any]
) -> NDArray[Any]:
    """A class's average precisions at each overlap, (draws, overlaps), NaN where a draw shows none of it.

    Args:
        judged: pycocotools' evaluation of each picture.
        overlaps: how many it was judged at.
        recalls: at which precision is taken.
        often: how often each picture counts, (draws, pictures).
    """
    found = np.full((len(often), overlaps), np.nan)
    seen = [(number, each) for number, each in enumerate(judged) if each is not None]
    if not seen:
        return found
    scores = np.concatenate([each["dtScores"] for _, each in seen])
    order = np.argsort(-scores, kind="mergesort")
    pictures = np.concatenate([np.full(len(each["dtScores"]), number) for number, each in seen])[order]
    matched = np.concatenate([each["dtMatches"] for _, each in seen], axis=1)[:, order] != 0
    counted = np.concatenate([each["dtIgnore"] for _, each in seen], axis=1)[:, order] == 0
    objects = np.zeros(len(judged))
    for number, each in seen:
        objects[number] = np.sum(np.asarray(each["gtIgnore"]) == 0)
    for draw, counts in enumerate(often):
        positives = counts @ objects
        if not positives:
            continue
        weights = counts[pictures]
        hits, misses = (np.cumsum(weights * which, axis=1) for which in (matched & counted, ~matched & counted))
        precision = hits / np.maximum(hits + misses, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for overlap, (at, recall) in enumerate(zip(best, hits / positives)):
            found[draw, overlap] = np.append(at, 0.0)[np.searchsorted(recall, recalls)].mean()
    return found
