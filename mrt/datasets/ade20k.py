"""ADE20K as in the MIT scene parsing challenge of 2016: 150 classes of things and stuff."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.segmentation import Pair, Segmentation
from mrt.errors import MRTError, Remedy

FOLDER = "ADEChallengeData2016"
_NAMES = "objectInfo150.txt"  # a table with tabs, the names last
_CLASSES = 150


class ADE20K(Segmentation):
    """`ade20k/ADEChallengeData2016/{images,annotations}/{training,validation}`: `validation` is evaluated.

    A mask's 0 is no class; classes are 0 to 149, named as `objectInfo150.txt` does where it is there.
    """

    name = "ade20k"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "training", "evaluation": "validation"}
    layouts: ClassVar[tuple[str, ...]] = ("ade20k", "ade", "")

    def _open(self) -> None:
        roots = [self.root / layout / FOLDER for layout in self.layouts]
        root = next((path for path in roots if path.is_dir()), None)
        if root is None:
            raise MissingDataError(
                f"dataset {self.name}: no {roots[0]}; unpack {FOLDER}.zip in {roots[0].parent}", Remedy.DATA_ROOT
            )
        self.labels = self._names(root / _NAMES)
        train, held_out = (self._listed(root, part) for part in ("training", "validation"))
        self._pairs = {"calibration": train, "evaluation": held_out, "train": train}

    def _names(self, path: Path) -> list[str] | None:
        if not path.is_file():
            return None
        rows = path.read_text(encoding="utf-8").splitlines()[1:]
        names = [row.split("\t")[-1].split(",")[0].strip() for row in rows if row.strip()]
        if len(names) != _CLASSES:
            raise MRTError(f"dataset {self.name}: {path} names {len(names)} classes, not {_CLASSES}; unpack it again")
        return names

    def _listed(self, root: Path, part: str) -> list[Pair]:
        found = sorted((root / "images" / part).glob("*.jpg"))
        if not found:
            raise MRTError(f"dataset {self.name}: no pictures *.jpg in {root / 'images' / part}")
        return [(path, root / "annotations" / part / f"{path.stem}.png") for path in found]

    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        if mask.max(initial=0) > _CLASSES:
            raise MRTError(f"dataset {self.name}: a mask has {mask.max()}, beyond {_CLASSES} classes")
        return mask.astype(np.int64) - 1
