"""Pictures in folders with their masks: segmentation of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.folder import HELD_OUT, TRAIN, WHOLE, in_fixed_order, is_picture
from mrt.datasets.segmentation import Pair, Segmentation
from mrt.datasets.segmentation_metric import IGNORED
from mrt.datasets.voc_seg import VOID
from mrt.errors import MRTError, Remedy

IMAGES, MASKS, NAMES = "images", "masks", "classes.txt"


def holds_masks(root: Path) -> bool:
    """Whether a folder, or the first of its splits that there is, has `images` and `masks`."""
    return any(_is_pair(root / part) for part in (WHOLE, TRAIN, *HELD_OUT))


class MaskFolder(Segmentation):
    """`images/….jpg` and `masks/….png` of the same name, or both in `train/` and in `val/` (or `test/`).

    A mask is a PNG file of a palette or of grey levels; its bytes are classes, 255 is none. `classes.txt` names them,
    one a line. Calibration takes `train`, evaluation `val`; where there is only one of them, or neither, both draw on
    the same pictures as `Folder` has it.
    """

    name = "folder"
    needs_folder = True

    def _open(self) -> None:
        if not self.root.is_dir():
            raise MissingDataError(f"dataset {self.name}: there is no folder {self.root}", Remedy.DATA_PLACE)
        parts = [part for part in (TRAIN, *HELD_OUT) if _is_pair(self.root / part)]
        held_out = next((part for part in HELD_OUT if part in parts), None)
        evaluated = held_out or (TRAIN if parts else WHOLE)
        calibrated = TRAIN if TRAIN in parts else evaluated
        self.shared_calibration = evaluated == calibrated
        self.labels = self._names()
        pairs = {part: self._listed(self.root / part) for part in {calibrated, evaluated}}
        self._parts = {"calibration": calibrated, "evaluation": evaluated}
        if not self.shared_calibration:
            self._parts[TRAIN] = calibrated
        self._pairs = {split: pairs[part] for split, part in self._parts.items()}

    @property
    def title(self) -> str:
        """See `Dataset.title`."""
        return f"{self.name} {self.root}"

    def split_name(self, split: str) -> str:
        """See `Dataset.split_name`: the folder's."""
        return self._parts[split] if self._parts[split] != WHOLE else "all"

    def _of(self, split: str) -> list[Pair]:
        self._require_split(split)
        if split not in self._pairs:
            raise MRTError(
                f"dataset {self.name}: {self.root} has no training pictures apart from those to evaluate on; make "
                "folders train and val of it"
            )
        return self._pairs[split]

    def _names(self) -> list[str] | None:
        path = self.root / NAMES
        if not path.is_file():
            return None
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]

    def _listed(self, part: Path) -> list[Pair]:
        pictures = in_fixed_order([path for path in (part / IMAGES).rglob("*") if is_picture(path)], part)
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
