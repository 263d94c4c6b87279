"""What datasets for segmentation share: pictures with a mask that gives each pixel a class."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import mxnet as mx
import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, MissingDataError, Preprocess
from mrt.datasets.metric import Metric
from mrt.datasets.picture import read_mask, read_picture, recoloured
from mrt.datasets.segmentation_metric import IGNORED, MeanIoU
from mrt.errors import MRTError

Pair = tuple[Path, Path]
"""The files of a picture and of its mask."""
_BILINEAR = 1


class Segmentation(Dataset):
    """Pictures in RGB, preprocessed as GluonCV does: [0, 1], ImageNet's mean and std; labels (N, H, W) of classes.

    For a square input the shorter side is resized to it and the centre kept, as GluonCV does on its validation
    pictures; for another, the whole picture is resized. Pictures bilinearly, masks to the nearest pixel.
    """

    default = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), scale=255.0)
    classes: ClassVar[tuple[str, ...]] = ()
    _pairs: dict[str, list[Pair]]

    @abstractmethod
    def _classes_of(self, mask: NDArray[Any]) -> NDArray[Any]:
        """The class of each pixel, `IGNORED` for none, of a mask's bytes (H, W)."""

    def _check_shape(self) -> None:
        if len(self.input_shape) != 4 or self.input_shape[1] != 3:
            given = ",".join(map(str, self.input_shape))
            raise MRTError(f"dataset {self.name}: input shape {given} does not fit its pictures; it must be -1,3,H,W")

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        return len(self._of(split))

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Resized pixels (N, 3, H, W) and the class of each pixel (N, H, W), `IGNORED` for none."""
        pairs = [self._of(split)[index] for index in indices]
        found = [self._pair(*pair) for pair in pairs]
        height, width = self.input_shape[2:]
        pictures = np.reshape([pixels for pixels, _ in found], (-1, 3, height, width))
        return pictures, np.reshape([classes for _, classes in found], (-1, height, width))

    def model_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """See `Dataset.model_labels`; pixels of no class have none."""
        return np.where(labels == IGNORED, IGNORED, super().model_labels(labels))

    def augment(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Changes each picture's colours (`recoloured`): masks stay right."""
        return recoloured(pixels, rng)

    def metric(self) -> Metric:
        """Mean intersection over union, and the share of pixels that are right."""
        return MeanIoU()

    def preprocess_info(self) -> dict[str, Any]:
        """See `Dataset.preprocess_info`; "resize" is a square's side, or else the (height, width)."""
        height, width = self.input_shape[2:]
        resize = height if height == width else [height, width]
        return {**(super().preprocess_info() or {}), "resize": resize, "interpolation": "bilinear"}

    def _of(self, split: str) -> list[Pair]:
        self._require_split(split)
        return self._pairs[split]

    def _pair(self, picture: Path, mask: Path) -> tuple[NDArray[Any], NDArray[Any]]:
        """Pixels (3, H, W) and classes (H, W), both of the network's size."""
        for path in (picture, mask):
            if not path.is_file():
                raise MissingDataError(f"dataset {self.name}: {path} is missing; unpack the archive again")
        pixels, marks = read_picture(picture, 3), read_mask(mask)
        if pixels.shape[:2] != marks.shape:
            raise MRTError(f"{mask}: a mask of {marks.shape} pixels for a picture of {pixels.shape[:2]}")
        before, wanted = marks.shape, self.input_shape[2:]
        height, width = wanted
        if height == width:
            height, width = (height * side // min(before) for side in before)
        if (height, width) != before:
            resized = mx.image.imresize(mx.nd.array(pixels, dtype=np.uint8), width, height, interp=_BILINEAR)
            pixels = resized.asnumpy()
            rows, columns = (_nearest(new, old) for new, old in zip((height, width), before))
            marks = marks[rows[:, None], columns]
        top, left = (height - wanted[0]) // 2, (width - wanted[1]) // 2
        centre = slice(top, top + wanted[0]), slice(left, left + wanted[1])
        return pixels[centre].transpose(2, 0, 1), self._classes_of(marks[centre])


class PublishedSegmentation(Segmentation):
    """A published dataset, of which one part is evaluated and the other is for all else, each in a fixed order."""

    layouts: ClassVar[tuple[str, ...]]
    """Where below the root its archives are unpacked."""
    folder: ClassVar[str]
    """What is there then."""
    archives: ClassVar[str]
    """Their names."""

    @abstractmethod
    def _listed(self, folder: Path, part: str) -> list[Pair]:
        """What a part has, by what its publisher calls it; `folder` is where the archives are unpacked."""

    def _open(self) -> None:
        self.labels = list(self.classes)
        root = self._unpacked(self.folder, self.layouts, self.archives)
        train, held_out = (self._listed(root, self.splits[split]) for split in ("calibration", "evaluation"))
        self._pairs = {"calibration": train, "evaluation": held_out, "train": train}


def _nearest(new: int, old: int) -> NDArray[Any]:
    """For each of `new` pixels, that of `old` whose centre is nearest."""
    found: NDArray[Any] = (2 * np.arange(new) + 1) * old // (2 * new)
    return found
