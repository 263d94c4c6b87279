"""Pictures in folders: whoever has PNG or JPEG files needs nothing else."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrt.datasets.base import Preprocess
from mrt.datasets.imagenet import ImageNet
from mrt.datasets.picture import read_picture, resize_and_crop, shorter_side
from mrt.datasets.split_folder import SplitFolder, in_fixed_order, pictures_in
from mrt.errors import MRTError

logger = logging.getLogger(__name__)

_GREY = Preprocess(mean=(0.0,), std=(1.0,), scale=255.0, crop=ImageNet.default.crop)
_LOOKED_AT = 256

Item = tuple[Path, int]


class Folder(SplitFolder):
    """`CLASS/….png`, or `train/CLASS/….png` and `val/CLASS/….png`; a class's index is its place in sorted order.

    The fixed order of `SplitFolder` is by a hash of the file's name with its folder, so that any part of it has all
    classes. Pictures without sub-folders have no labels.

    Of colour pictures, the preprocessing is ImageNet's, resize and crop included; grey ones are brought to [0, 1]
    instead of ImageNet's mean and std. Where the first pictures have the input's size already, those of this size are
    neither resized nor cropped, unless a crop is given.
    """

    default = ImageNet.default

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

    def _holds(self, part: Path) -> bool:
        return bool(_folders(part))

    def _open(self) -> None:
        super()._open()
        self.labels = self._class_names(self.root / self._parts["calibration"])
        self.labelled = self.labels is not None
        self._items = {part: self._listed(self.root / part) for part in dict.fromkeys(self._parts.values())}
        if not self._cropped and all(map(self._fits, self._items[self._parts["evaluation"]][:_LOOKED_AT])):
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
            found = pictures_in(folder)
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

    def _picture(self, path: Path) -> NDArray[Any]:
        pixels = read_picture(path, self.input_shape[1])
        if self.preprocess.crop is None and pixels.shape[:2] == self._size:
            return pixels.transpose(2, 0, 1)
        crop = self.preprocess.crop or ImageNet.default.crop or 1.0
        try:
            return resize_and_crop(mx.nd.array(pixels, dtype=np.uint8), self._size, crop)
        except mx.MXNetError as error:
            raise MRTError(f"{path}: cannot be resized ({str(error).strip().splitlines()[-1]})") from None


def _folders(path: Path) -> list[Path]:
    """The sub-folders, sorted by name; hidden ones do not count."""
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
