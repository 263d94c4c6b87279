"""Folders of the user's own: whole, or with a part to calibrate on and a part to evaluate on."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path

from mrt.datasets.base import Dataset, MissingDataError
from mrt.errors import MRTError, Remedy

TRAIN, HELD_OUT = "train", ("val", "test")
WHOLE = "."
PARTS = (TRAIN, *HELD_OUT)
_SUFFIXES = (".png", ".jpg", ".jpeg")


class SplitFolder(Dataset):
    """Calibration takes `train`, evaluation `val` (or `test`).

    Where there is only one of them, or neither, both draw on the same pictures, calibration on the first ones in a
    fixed order and evaluation on the others.
    """

    name = "folder"
    needs_folder = True

    @abstractmethod
    def _holds(self, part: Path) -> bool:
        """Whether pictures are found in a folder as this dataset has them."""

    def _open(self) -> None:
        if not self.root.is_dir():
            raise MissingDataError(f"dataset {self.name}: there is no folder {self.root}", Remedy.DATA_PLACE)
        parts = [part for part in PARTS if self._holds(self.root / part)]
        held_out = next((part for part in HELD_OUT if part in parts), None)
        evaluated = held_out or (TRAIN if parts else WHOLE)
        calibrated = TRAIN if TRAIN in parts else evaluated
        self.shared_calibration = evaluated == calibrated
        self._parts = {"calibration": calibrated, "evaluation": evaluated}
        if not self.shared_calibration:
            self._parts[TRAIN] = calibrated

    @property
    def title(self) -> str:
        """See `Dataset.title`."""
        return f"{self.name} {self.root}"

    def split_name(self, split: str) -> str:
        """See `Dataset.split_name`: the folder's."""
        return self._parts[split] if self._parts[split] != WHOLE else "all"

    def _part(self, split: str) -> str:
        """The folder of a split, below the root."""
        self._require_split(split)
        if split not in self._parts:
            raise MRTError(
                f"dataset {self.name}: {self.root} has no training pictures apart from those to evaluate on; make "
                "folders train and val of it"
            )
        return self._parts[split]


def pictures_in(folder: Path) -> list[Path]:
    """The files of pictures in a folder and below it, by their names."""
    return [path for path in folder.rglob("*") if _is_picture(path)]


def in_fixed_order(paths: Iterable[Path], part: Path) -> list[Path]:
    """Files of a folder in an order that looks random and depends on their names in it only."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.relative_to(part).as_posix().encode()).digest())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file() and not path.name.startswith(".")
