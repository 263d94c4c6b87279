"""Pictures in folders: whoever has PNG or JPEG files needs nothing else."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrt.datasets.base import Dataset, MissingDataError, Preprocess
from mrt.datasets.imagenet import ImageNet
from mrt.datasets.picture import read_picture, resize_and_crop, shorter_side
from mrt.errors import MRTError, Remedy

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg")
TRAIN, HELD_OUT = "train", ("val", "test")
_GREY = Preprocess(mean=(0.0,), std=(1.0,), scale=255.0, crop=ImageNet.default.crop)
_LOOKED_AT = 256
WHOLE = "."

Item = tuple[Path, int]


class Folder(Dataset):
    """`CLASS/….png`, or `train/CLASS/….png` and `val/CLASS/….png`; a class's index is its place in sorted order.

    Calibration takes `train`, evaluation `val` (or `test`). Where there is only one of them, or neither, both draw on
    the same pictures, calibration on the first ones in a fixed order and evaluation on the others. That order is by a
    hash of the file's name with its folder, so that any part of it has all classes. Pictures without sub-folders have
    no labels.

    Of colour pictures, the preprocessing is ImageNet's, resize and crop included; grey ones are brought to [0, 1]
    instead of ImageNet's mean and std. Where the first pictures have the input's size already, those of this size are
    neither resized nor cropped, unless a crop is given.
    """

    name = "folder"
    default = ImageNet.default
    needs_folder = True

    def _check_shape(self) -> None:
        shape = self.input_shape
        if len(shape) != 4 or shape[0] != -1 or shape[1] not in (1, 3):
            raise MRTError(
                f"dataset {self.name}: input shape {','.join(map(str, shape))} does not fit pictures; it must be "
                "-1,1,height,width (grey) or -1,3,height,width (RGB); for others, there is the dataset npz"
            )
        self._size = (shape[2], shape[3])

    def _complete(self, given: Preprocess) -> Preprocess:
        if self.input_shape[1] == 1:
            self.default = _GREY
        self._cropped = given.crop is not None
        return super()._complete(given)

    def _open(self) -> None:
        if not self.root.is_dir():
            raise MissingDataError(f"dataset {self.name}: there is no folder {self.root}", Remedy.DATA_PLACE)
        parts = [part for part in (TRAIN, *HELD_OUT) if _folders(self.root / part)]
        held_out = next((part for part in HELD_OUT if part in parts), None)
        evaluated = held_out or (TRAIN if parts else WHOLE)
        calibrated = TRAIN if TRAIN in parts else evaluated
        self.shared_calibration = evaluated == calibrated
        self._parts = {"calibration": calibrated, "evaluation": evaluated}
        if not self.shared_calibration:
            self._parts[TRAIN] = calibrated
        self.labels = self._class_names(self.root / calibrated)
        self.labelled = self.labels is not None
        self._items = {part: self._listed(self.root / part) for part in {calibrated, evaluated}}
        if not self._cropped and all(map(self._fits, self._items[evaluated][:_LOOKED_AT])):
            self.preprocess = replace(self.preprocess, crop=None)

    def _class_names(self, part: Path) -> list[str] | None:
        return [folder.name for folder in _folders(part)] or None

    def _listed(self, part: Path) -> list[Item]:
        """The pictures of a split with their classes, in the fixed order."""
        own = self._class_names(part)
        unknown = sorted(set(own or []) - set(self.labels or []))
        if unknown:
            raise MRTError(
                f"dataset {self.name}: {part} has the class {unknown[0]}, which the calibration data has not"
            )
        items: list[Item] = []
        for label, folder in enumerate([part / name for name in self.labels] if self.labels else [part]):
            found = [path for path in folder.rglob("*") if is_picture(path)]
            if not found:
                logger.warning("dataset %s: no PNG or JPEG pictures in %s", self.name, folder)
            items += [(path, label if self.labels else -1) for path in found]
        if not items:
            raise MRTError(f"dataset {self.name}: no PNG or JPEG pictures in {part}, nor in its sub-folders")
        labels = dict(items)
        return [(path, labels[path]) for path in in_fixed_order(labels, part)]

    def _fits(self, item: Item) -> bool:
        try:
            with Image.open(item[0]) as picture:
                return picture.size == self._size[::-1]
        except (OSError, ValueError):
            return False  # said where it is read

    @property
    def title(self) -> str:
        """See `Dataset.title`."""
        return f"{self.name} {self.root}"

    def split_name(self, split: str) -> str:
        """See `Dataset.split_name`: the folder's."""
        return self._parts[split] if self._parts[split] != WHOLE else "all"

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        return len(self._items[self._part(split)])

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`; the pixels are resized and cropped already."""
        items = [self._items[self._part(split)][i] for i in indices]
        pictures = [self._picture(path) for path, _ in items]
        return np.reshape(pictures, (-1, *self.input_shape[1:])), np.array([label for _, label in items], np.int64)

    def model_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """See `Dataset.model_labels`; without labels, -1 for all."""
        return super().model_labels(labels) if self.labelled else labels

    def preprocess_info(self) -> dict[str, Any] | None:
        """See `Dataset.preprocess_info`; "resize" is the length of the shorter side before the crop, null for none."""
        crop = self.preprocess.crop
        resize = shorter_side(self._size, crop) if crop else None
        return {**(super().preprocess_info() or {}), "resize": resize, "interpolation": "bilinear" if crop else None}

    def _part(self, split: str) -> str:
        self._require_split(split)
        if split not in self._parts:
            raise MRTError(
                f"dataset {self.name}: {self.root} has no training pictures apart from those to evaluate on; make "
                "folders train and val of it"
            )
        return self._parts[split]

    def _picture(self, path: Path) -> NDArray[Any]:
        pixels = read_picture(path, self.input_shape[1])
        if self.preprocess.crop is None and pixels.shape[:2] == self._size:
            return pixels.transpose(2, 0, 1)
        crop = self.preprocess.crop or ImageNet.default.crop or 1.0
        try:
            return resize_and_crop(mx.nd.array(pixels, dtype=np.uint8), self._size, crop)
        except mx.MXNetError as error:
            raise MRTError(f"{path}: cannot be resized ({str(error).strip().splitlines()[-1]})") from None


def in_fixed_order(paths: Iterable[Path], part: Path) -> list[Path]:
    """Files of a folder in an order that looks random and depends on their names in it only."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.relative_to(part).as_posix().encode()).digest())


def is_picture(path: Path) -> bool:
    """Whether a path is a picture's file, by its name."""
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _folders(path: Path) -> list[Path]:
    """The sub-folders, sorted by name; hidden ones do not count."""
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
