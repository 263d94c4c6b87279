"""Pascal VOC 2012's segmentation: 20 classes and the background, in the layout that GluonCV uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.segmentation import Pair, Segmentation
from mrt.datasets.segmentation_metric import IGNORED
from mrt.datasets.voc import VOC
from mrt.errors import MRTError, Remedy

VOID = 255
"""The byte of a mask for a pixel that counts for no class, such as those around an object."""
YEAR, LISTS, MASKS = "VOC2012", "ImageSets/Segmentation", "SegmentationClass"
TRAIN, HELD_OUT = "train", "val"
_ARCHIVE = "VOCtrainval_11-May-2012.tar"


class VOCSegmentation(Segmentation):
    """`voc/VOC2012/{ImageSets/Segmentation,JPEGImages,SegmentationClass}`: `val` is evaluated, `train` for all else."""

    name = "voc_seg"
    splits: ClassVar[Mapping[str, str]] = {"calibration": TRAIN, "evaluation": HELD_OUT}
    layouts: ClassVar[tuple[str, ...]] = ("voc", "")
    classes: ClassVar[tuple[str, ...]] = ("background", *VOC.classes)

    def _open(self) -> None:
        self.labels = list(self.classes)
        roots = [self.root / layout for layout in self.layouts]
        root = next((path for path in roots if (path / YEAR).is_dir()), None)
        if root is None:
            raise MissingDataError(
                f"dataset {self.name}: no {YEAR} in {roots[0]}; unpack {_ARCHIVE} (its VOCdevkit/{YEAR}) there",
                Remedy.DATA_ROOT,
            )
        train, held_out = (self._listed(root / YEAR, name) for name in (TRAIN, HELD_OUT))
        self._pairs = {"calibration": train, "evaluation": held_out, "train": train}

    def _listed(self, year: Path, name: str) -> list[Pair]:
        path = year / LISTS / f"{name}.txt"
        if not path.is_file():
            raise MissingDataError(f"dataset {self.name}: {path} not found; unpack {_ARCHIVE} again")
        names = path.read_text().split()
        if not names:
            raise MRTError(f"dataset {self.name}: {path} is empty; unpack the archive again")
        return [(year / "JPEGImages" / f"{each}.jpg", year / MASKS / f"{each}.png") for each in names]

    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        classes = mask.astype(np.int64)
        beyond = classes[(classes >= len(self.classes)) & (classes != VOID)]
        if beyond.size:
            raise MRTError(f"dataset {self.name}: a mask has class {beyond[0]}, beyond {len(self.classes)} classes")
        return np.where(classes == VOID, IGNORED, classes)
