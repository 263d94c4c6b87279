"""Handwritten digits on textured backgrounds, composed into a Pascal VOC tree: detection without a download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from numpy.typing import NDArray

from mrt.datasets.digit_pictures import DigitPictures, Placed
from mrt.datasets.voc import ANNOTATIONS, CORNERS, HELD_OUT, LISTS, TRAIN, VOC, YEAR


class VOCDigits(DigitPictures, VOC):
    """scikit-learn's digits in `voc_digits/VOC2007`, VOC's layout; the tree is composed where there is none."""

    name = "voc_digits"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    layouts: ClassVar[tuple[str, ...]] = ("voc_digits",)
    year: ClassVar[str] = YEAR
    lists: ClassVar[str] = LISTS
    truth: ClassVar[str] = ANNOTATIONS
    sizes: ClassVar[Mapping[str, int]] = {TRAIN: 2000, HELD_OUT: 300}
    sides: ClassVar[tuple[int, int]] = (120, 181)
    seed: ClassVar[int] = 4

    @classmethod
    def _keep(cls, folder: Path, name: str, picture: NDArray[Any], digits: list[Placed]) -> None:
        _annotation(name, picture, digits).write(folder / f"{name}.xml")


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
