"""Pascal VOC: pictures with boxes around objects of 20 classes, in the layout that GluonCV uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.detection import Detection
from mrt.datasets.detection_metric import VOC07
from mrt.datasets.metric import Metric
from mrt.errors import MRTError

YEAR, LISTS, PICTURES, ANNOTATIONS = "VOC2007", "ImageSets/Main", "JPEGImages", "Annotations"
TRAIN, HELD_OUT = "trainval", "test"
_ARCHIVES = f"VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar (their VOCdevkit/{YEAR})"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VOC(Detection):
    """`voc/VOC2007/{Annotations,ImageSets/Main,JPEGImages}`: `test` is evaluated, `trainval` is for all else.

    `voc/VOC2012` joins the training pictures where it is there. Objects of other classes are left out, and so are
    boxes outside their picture, as GluonCV does. Labels are those of `VOC07`.
    """

    name = "voc"
    splits: ClassVar[Mapping[str, str]] = {"calibration": TRAIN, "evaluation": HELD_OUT}
    layouts: ClassVar[tuple[str, ...]] = ("voc", "")
    classes: ClassVar[tuple[str, ...]] = (
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    )

    def _open(self) -> None:
        self.labels = list(self.classes)
        root = self._unpacked(YEAR, self.layouts, _ARCHIVES)
        calibration = self._listed(root / YEAR, TRAIN)
        later = root / "VOC2012"
        self._items = {
            "calibration": calibration,
            "evaluation": self._listed(root / YEAR, HELD_OUT),
            "train": calibration + (self._listed(later, TRAIN) if later.is_dir() else []),
        }

    def _listed(self, year: Path, name: str) -> list[tuple[Path, str]]:
        return [(year, each) for each in listed_names(self.name, year / LISTS / f"{name}.txt", _ARCHIVES)]

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return len(self._items[split])

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Resized pixels (N, 3, H, W) and labels (N, M, 6), M being the most objects that one of the pictures has."""
        self._require_split(split)
        items = [self._items[split][i] for i in indices]
        pictures, objects = [], []
        for year, name in items:
            pixels, size = self._picture(year / PICTURES / f"{name}.jpg")
            pictures.append(pixels)
            objects.append(self._objects(year / ANNOTATIONS / f"{name}.xml", size))
        labels = np.full((len(items), max([1, *map(len, objects)]), 6), -1.0)
        for row, found in zip(labels, objects):
            row[: len(found)] = found
        return np.reshape(pictures, (-1, *self.input_shape[1:])), labels

    def _objects(self, path: Path, size: tuple[int, int]) -> NDArray[Any]:
        """(M, 6): corners in the resized picture, class, whether it is difficult. Corners on disk count from 1."""
        (width, height), rows = size, []
        try:
            for item in ElementTree.parse(path).getroot().iter("object"):
                name, box = item.findtext("name", "").strip().lower(), item.find("bndbox")
                left, top, right, bottom = (float(_text(box, corner)) - 1 for corner in CORNERS)
                if name in self.classes and 0 <= left < right <= width and 0 <= top < bottom <= height:
                    difficult = float(item.findtext("difficult", "").strip() or 0)
                    rows.append([left, top, right, bottom, self.classes.index(name), difficult])
        except (ElementTree.ParseError, OSError, ValueError) as error:
            raise MRTError(
                f"dataset {self.name}: {path} is not a readable annotation ({error}); unpack the archive again"
            ) from None
        found = np.reshape(np.array(rows, np.float64), (-1, 6))
        across, down = self.input_shape[3] / width, self.input_shape[2] / height
        found[:, :4] *= [across, down, across, down]
        return found

    def metric(self) -> Metric:
        """Mean average precision as of VOC 2007."""
        return VOC07(self.classes, (self.input_shape[3], self.input_shape[2]))


def listed_names(dataset: str, path: Path, archives: str) -> list[str]:
    """The pictures' names in a list of VOC's, which comes in archives.

    Raises:
        MRTError: it is missing or empty.
    """
    if not path.is_file():
        raise MissingDataError(f"dataset {dataset}: {path} not found; unpack {archives} again")
    names = path.read_text().split()
    if not names:
        raise MRTError(f"dataset {dataset}: {path} is empty; unpack {archives} again")
    return names


def _text(box: ElementTree.Element | None, corner: str) -> str:
    found = box.findtext(corner) if box is not None else None
    if found is None:
        raise ValueError(f"an object without {corner}")
    return found
