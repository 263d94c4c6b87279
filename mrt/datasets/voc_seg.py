"""Pascal VOC 2012's segmentation: 20 classes and the background, in the layout that GluonCV uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.segmentation import Pair, PublishedSegmentation
from mrt.datasets.segmentation_metric import IGNORED
from mrt.datasets.voc import PICTURES, VOC, listed_names
from mrt.errors import MRTError

VOID = 255
"""The byte of a mask for a pixel that counts for no class, such as those around an object."""
YEAR, LISTS, MASKS = "VOC2012", "ImageSets/Segmentation", "SegmentationClass"
TRAIN, HELD_OUT = "train", "val"


class VOCSegmentation(PublishedSegmentation):
    """`voc/VOC2012/{ImageSets/Segmentation,JPEGImages,SegmentationClass}`: `val` is evaluated, `train` for all else."""

    name = "voc_seg"
    splits: ClassVar[Mapping[str, str]] = {"calibration": TRAIN, "evaluation": HELD_OUT}
    layouts: ClassVar[tuple[str, ...]] = ("voc", "")
    folder: ClassVar[str] = YEAR
    archives: ClassVar[str] = f"VOCtrainval_11-May-2012.tar (its VOCdevkit/{YEAR})"
    classes: ClassVar[tuple[str, ...]] = ("background", *VOC.classes)

    def _listed(self, folder: Path, part: str) -> list[Pair]:
        year = folder / self.folder
        names = listed_names(self.name, year / LISTS / f"{part}.txt", self.archives)
        return [(year / PICTURES / f"{each}.jpg", year / MASKS / f"{each}.png") for each in names]

    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        classes = mask.astype(np.int64)
        beyond = classes[(classes >= len(self.classes)) & (classes != VOID)]
        if beyond.size:
            raise MRTError(f"dataset {self.name}: a mask has class {beyond[0]}, beyond {len(self.classes)} classes")
        return np.where(classes == VOID, IGNORED, classes)
