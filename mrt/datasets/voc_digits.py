"""Handwritten digits on textured backgrounds, composed into a Pascal VOC tree: detection without a download."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrt.datasets.digits import Digits
from mrt.datasets.texture import texture
from mrt.datasets.voc import CORNERS, VOC
from mrt.errors import MRTError, Remedy

SIZES: Mapping[str, int] = {"trainval": 2000, "test": 300}
"""Pictures in each split of the tree that is composed on demand."""
_SOURCES = {"trainval": "train", "test": "evaluation"}  # no handwriting of one split is in the other
_SEED = 4
_SIDES = (120, 181)  # of a picture
_DIGITS = (1, 5)  # on a picture, at most what finds room
_HEIGHTS = (0.26, 0.46)  # of a digit, as a part of the picture's
_STRETCH = (0.85, 1.15)  # of its width
_INK = 0.35  # of full ink: what counts as part of the digit
_CONTRAST = 70  # grey levels between a digit and what is behind it
_GAP = 2  # pixels between boxes
_TRIES = 20
_QUALITY = 92


class VOCDigits(VOC):
    """scikit-learn's digits in `voc_digits/VOC2007`, VOC's layout; the tree is composed where there is none.

    The pictures are the same on every machine but for what its JPEG library makes of them.
    """

    name = "voc_digits"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    layouts: ClassVar[tuple[str, ...]] = ("voc_digits",)

    def _open(self) -> None:
        folder = self.root / self.layouts[0]
        if not folder.exists():
            compose(folder, SIZES)
        super()._open()


def compose(folder: Path, sizes: Mapping[str, int]) -> None:
    """Write `folder/VOC2007`, whole or not at all. A picture depends on its split and number only, not on `sizes`.

    Args:
        folder: which must not exist.
        sizes: the number of pictures of each split, "trainval" and "test".

    Raises:
        MRTError: it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            year = Path(scratch) / folder.name / "VOC2007"
            for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
                (year / part).mkdir(parents=True)
            for number, (split, size) in enumerate(sizes.items()):
                pool = Digits(None, (-1, 1, 8, 8))
                pixels, labels = pool.read(_SOURCES[split], np.arange(pool.size(_SOURCES[split])))
                names = [f"{number}{index:05}" for index in range(size)]
                for index, name in enumerate(names):
                    rng = np.random.default_rng([_SEED, number, index])
                    picture, objects = _picture(rng, pixels[:, 0], labels)
                    Image.fromarray(picture).save(year / "JPEGImages" / f"{name}.jpg", quality=_QUALITY)
                    _annotation(name, picture, objects).write(year / "Annotations" / f"{name}.xml")
                (year / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
            os.rename(year.parent, folder)
    except OSError as error:
        raise MRTError(
            f"dataset {VOCDigits.name}: {folder} cannot be written: {error.strerror}", Remedy.DATA_ROOT
        ) from None


@dataclass(frozen=True)
class _Object:
    """A digit and its box: pixels left to right - 1 and top to bottom - 1."""

    name: str
    left: int
    top: int
    right: int
    bottom: int

    def near(self, other: _Object) -> bool:
        """Whether the two boxes touch or nearly do."""
        across = min(self.right, other.right) + _GAP > max(self.left, other.left)
        return across and min(self.bottom, other.bottom) + _GAP > max(self.top, other.top)


def _picture(
    rng: np.random.Generator, digits: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[Any], list[_Object]]:
    """A picture (H, W, 3) and what is on it, drawn from digits (N, 8, 8) with values 0 to 16."""
    width, height = (int(side) for side in rng.integers(*_SIDES, size=2))
    canvas = texture(rng, (3, height, width), rng.uniform(12, 32), rng.uniform(48, 208, 3)).transpose(1, 2, 0)
    objects: list[_Object] = []
    for _ in range(int(rng.integers(_DIGITS[0], _DIGITS[1] + 1))):
        number = int(rng.integers(len(digits)))
        ink = _drawn(digits[number], height * rng.uniform(*_HEIGHTS), rng.uniform(*_STRETCH))
        rows, columns = ink.shape
        for _ in range(_TRIES):
            top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
            placed = _Object(str(labels[number]), left, top, left + columns, top + rows)
            if not any(placed.near(other) for other in objects):
                behind = canvas[top : top + rows, left : left + columns]
                behind += ink[:, :, None] * (_colour(rng, behind.mean()) - behind)
                objects.append(placed)
                break
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), objects


def _drawn(digit: NDArray[Any], height: float, stretch: float) -> NDArray[Any]:
    """The ink of a digit, 0 to 1, about `height` pixels high and cut to what shows."""
    grey = Image.fromarray((digit * (255 / 16)).astype(np.uint8))
    side = max(8, round(height))
    large = np.asarray(grey.resize((max(8, round(side * stretch)), side), Image.Resampling.BICUBIC)) / 255.0
    rows, columns = (np.flatnonzero((large >= _INK).any(axis=axis)) for axis in (1, 0))
    shown = large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    ink: NDArray[Any] = np.clip((shown - _INK / 2) / _INK, 0, 1)
    return ink


def _colour(rng: np.random.Generator, behind: float) -> NDArray[Any]:
    """A colour that stands out against a grey level."""
    darker = behind > 255 - _CONTRAST or (behind >= _CONTRAST and rng.random() < 0.5)
    grey = rng.uniform(0, behind - _CONTRAST) if darker else rng.uniform(behind + _CONTRAST, 255)
    tint = rng.uniform(-30, 30, 3)
    colour: NDArray[Any] = grey + tint - tint.mean()
    return colour


def _annotation(name: str, picture: NDArray[Any], objects: list[_Object]) -> ElementTree.ElementTree:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{name}.jpg"
    size = ElementTree.SubElement(root, "size")
    for key, value in zip(("height", "width", "depth"), picture.shape):
        ElementTree.SubElement(size, key).text = str(value)
    for item in objects:
        found = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(found, "name").text = item.name
        ElementTree.SubElement(found, "difficult").text = "0"
        box = ElementTree.SubElement(found, "bndbox")
        # VOC's pixels count from 1, and the last belongs to the box
        for key, value in zip(CORNERS, (item.left + 1, item.top + 1, item.right, item.bottom)):
            ElementTree.SubElement(box, key).text = str(value)
    ElementTree.indent(root)
    return ElementTree.ElementTree(root)
