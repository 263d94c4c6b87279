"""COCO: pictures with boxes around objects of 80 classes, judged by pycocotools (the extra `coco`)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.detection import Detection
from mrt.datasets.detection_metric import CocoAP
from mrt.datasets.metric import Metric
from mrt.errors import MRTError

LAYOUTS = ("coco/annotations", "annotations")
ANNOTATIONS = "instances_val2017.json"
PICTURES = "val2017"


class COCO(Detection):
    """`coco/annotations/instances_val2017.json` and `coco/val2017/*.jpg`, for calibration and evaluation.

    Pictures come in the order of their numbers. Class numbers follow the order of the categories' numbers. Labels are
    those of `CocoAP`.
    """

    name = "coco"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "val2017", "evaluation": "val2017"}
    shared_calibration = True

    def _open(self) -> None:
        try:
            from pycocotools.coco import COCO as Annotations
        except ImportError:
            raise MRTError(
                f"dataset {self.name}: it needs pycocotools; install it with pip install pycocotools (the extra coco)"
            ) from None
        path = self._find(ANNOTATIONS, LAYOUTS)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its steps
                self._truth = Annotations(str(path))
            self._categories = sorted(self._truth.getCatIds())
            self._entries = [self._truth.imgs[number] for number in sorted(self._truth.getImgIds())]
            self.labels = [item["name"] for item in self._truth.loadCats(self._categories)]
            self._files = [path.parent.parent / PICTURES / entry["file_name"] for entry in self._entries]
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
            raise MRTError(
                f"dataset {self.name}: {path} is not a COCO annotation file; fetch annotations_trainval2017.zip again"
            ) from None

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        if split == "train":
            raise MRTError(f"dataset {self.name}: it has no training pictures; train on another dataset")
        return len(self._entries)

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Resized pixels (N, 3, H, W), and each picture's number, width and height (N, 3)."""
        found = [self._picture(self._files[i]) for i in indices]
        labels = [[self._entries[i]["id"], *size] for i, (_, size) in zip(indices, found)]
        pictures = [pixels for pixels, _ in found]
        return np.reshape(pictures, (-1, *self.input_shape[1:])), np.reshape(labels, (-1, 3)).astype(np.int64)

    def metric(self) -> Metric:
        """COCO's average precision."""
        return CocoAP(self._truth, self._categories, (self.input_shape[3], self.input_shape[2]))
