"""Handwritten digits on textured backgrounds, composed into a Pascal VOC tree: detection without a download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from numpy.typing import NDArray

from mrt.datasets import digit_pictures
from mrt.datasets.digit_pictures import Placed
from mrt.datasets.voc import CORNERS, VOC

SIZES: Mapping[str, int] = {"trainval": 2000, "test": 300}
"""Pictures in each split of the tree that is composed on demand."""
_SEED = 4
_SIDES = (120, 181)  # of a picture


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
    """Write `folder/VOC2007`, whole or not at all; see `digit_pictures.compose`.

    Args:
        folder: which must not exist.
        sizes: the number of pictures of each split, "trainval" and "test".

    Raises:
        MRTError: it cannot be written.
    """
    digit_pictures.compose(folder, "VOC2007", sizes, "ImageSets/Main", _SIDES, _SEED, "Annotations", _keep)


def _keep(tree: Path, name: str, picture: NDArray[Any], digits: list[Placed]) -> None:
    _annotation(name, picture, digits).write(tree / "Annotations" / f"{name}.xml")


def _annotation(name: str, picture: NDArray[Any], digits: list[Placed]) -> ElementTree.ElementTree:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{name}.jpg"
    size = ElementTree.SubElement(root, "size")
    for key, value in zip(("height", "width", "depth"), picture.shape):
        ElementTree.SubElement(size, key).text = str(value)
    for item in digits:
        found = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(found, "name").text = str(item.label)
        ElementTree.SubElement(found, "difficult").text = "0"
        box = ElementTree.SubElement(found, "bndbox")
        # VOC's pixels count from 1, and the last belongs to the box
        for key, value in zip(CORNERS, (item.left + 1, item.top + 1, item.right, item.bottom)):
            ElementTree.SubElement(box, key).text = str(value)
    ElementTree.indent(root)
    return ElementTree.ElementTree(root)
