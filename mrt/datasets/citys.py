"""Cityscapes: streets with 19 classes, in the layout of its archives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.segmentation import Pair, PublishedSegmentation
from mrt.datasets.segmentation_metric import IGNORED
from mrt.errors import MRTError

PICTURES, MASKS = "leftImg8bit", "gtFine"
_PICTURE_ENDS, _MASK_ENDS = "_leftImg8bit.png", "_gtFine_labelIds.png"
_CLASSES: Mapping[int, str] = {  # by what masks call them, in the order of their numbers in training (labels.py)
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
_NUMBERS = np.full(256, IGNORED, np.int64)
_NUMBERS[list(_CLASSES)] = np.arange(len(_CLASSES))


class Cityscapes(PublishedSegmentation):
    """`citys/{leftImg8bit,gtFine}/{train,val}/CITY/`: `val` is evaluated, `train` for all else, sorted by name.

    Masks are `*_gtFine_labelIds.png`; what counts for no class in training is ignored.
    """

    name = "citys"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "train", "evaluation": "val"}
    layouts: ClassVar[tuple[str, ...]] = ("citys", "")
    folder: ClassVar[str] = PICTURES
    archives: ClassVar[str] = "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip"
    classes: ClassVar[tuple[str, ...]] = tuple(_CLASSES.values())

    def _listed(self, folder: Path, part: str) -> list[Pair]:
        found = sorted((folder / PICTURES / part).glob(f"*/*{_PICTURE_ENDS}"))
        if not found:
            raise MRTError(f"dataset {self.name}: no pictures CITY/*{_PICTURE_ENDS} in {folder / PICTURES / part}")
        masks = folder / MASKS / part
        return [(path, masks / path.parent.name / (path.name[: -len(_PICTURE_ENDS)] + _MASK_ENDS)) for path in found]

    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = _NUMBERS[mask]
        return found
