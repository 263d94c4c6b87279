"""Pictures in folders with their masks: segmentation of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.segmentation import Pair, Segmentation
from mrt.datasets.segmentation_metric import IGNORED
from mrt.datasets.split_folder import PARTS, WHOLE, SplitFolder, in_fixed_order, pictures_in
from mrt.datasets.voc_seg import VOID
from mrt.errors import MRTError

IMAGES, MASKS, NAMES = "images", "masks", "classes.txt"


def holds_masks(root: Path) -> bool:
    """Whether a folder, or the first of its splits that there is, has `images` and `masks`."""
    return any(_is_pair(root / part) for part in (WHOLE, *PARTS))


class MaskFolder(SplitFolder, Segmentation):
    """`images/….jpg` and `masks/….png` of the same name, or both in `train/` and in `val/` (or `test/`).

    A mask is a PNG file of a palette or of grey levels; its bytes are classes, 255 is none. `classes.txt` names them,
    one a line.
    """

    def _holds(self, part: Path) -> bool:
        return _is_pair(part)

    def _open(self) -> None:
        super()._open()
        self.labels = self._names()
        self._pairs = {part: self._listed(self.root / part) for part in dict.fromkeys(self._parts.values())}

    def _of(self, split: str) -> list[Pair]:
        return self._pairs[self._part(split)]

    def _names(self) -> list[str] | None:
        path = self.root / NAMES
        if not path.is_file():
            return None
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]

    def _listed(self, part: Path) -> list[Pair]:
        pictures = in_fixed_order(pictures_in(part / IMAGES), part)
        if not pictures:
            raise MRTError(f"dataset {self.name}: no PNG or JPEG pictures in {part / IMAGES}")
        return [(path, self._mask(part, path.relative_to(part / IMAGES))) for path in pictures]

    def _mask(self, part: Path, picture: Path) -> Path:
        mask = part / MASKS / picture.with_suffix(".png")
        if not mask.is_file():
            raise MissingDataError(f"dataset {self.name}: {part / IMAGES / picture} has no mask {mask}")
        return mask

    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        classes = np.where(mask == VOID, IGNORED, mask.astype(np.int64))
        if self.labels and classes.max(initial=0) >= len(self.labels):
            raise MRTError(f"dataset {self.name}: a mask has class {classes.max()}, {NAMES} names {len(self.labels)}")
        return classes


def _is_pair(part: Path) -> bool:
    return (part / IMAGES).is_dir() and (part / MASKS).is_dir()
