"""ADE20K as in the MIT scene parsing challenge of 2016: 150 classes of things and stuff."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.segmentation import Pair, PublishedSegmentation
from mrt.errors import MRTError

_NAMES = "objectInfo150.txt"  # a table with tabs, the names last
_CLASSES = 150


class ADE20K(PublishedSegmentation):
    """`ade20k/ADEChallengeData2016/{images,annotations}/{training,validation}`: `validation` is evaluated.

    A mask's 0 is no class; classes are 0 to 149, named as `objectInfo150.txt` does where it is there.
    """

    name = "ade20k"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "training", "evaluation": "validation"}
    layouts: ClassVar[tuple[str, ...]] = ("ade20k", "ade", "")
    folder: ClassVar[str] = "ADEChallengeData2016"
    archives: ClassVar[str] = "ADEChallengeData2016.zip"

    def _open(self) -> None:
        super()._open()
        self.labels = self._names(self._unpacked(self.folder, self.layouts, self.archives) / self.folder / _NAMES)

    def _names(self, path: Path) -> list[str] | None:
        if not path.is_file():
            return None
        rows = path.read_text(encoding="utf-8").splitlines()[1:]
        names = [row.split("\t")[-1].split(",")[0].strip() for row in rows if row.strip()]
        if len(names) != _CLASSES:
            raise MRTError(f"dataset {self.name}: {path} names {len(names)} classes, not {_CLASSES}; unpack it again")
        return names

    def _listed(self, folder: Path, part: str) -> list[Pair]:
        pictures, masks = (folder / self.folder / kind / part for kind in ("images", "annotations"))
        found = sorted(pictures.glob("*.jpg"))
        if not found:
            raise MRTError(f"dataset {self.name}: no pictures *.jpg in {pictures}")
        return [(path, masks / f"{path.stem}.png") for path in found]

    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        if mask.max(initial=0) > _CLASSES:
            raise MRTError(f"dataset {self.name}: a mask has {mask.max()}, beyond {_CLASSES} classes")
        return mask.astype(np.int64) - 1
