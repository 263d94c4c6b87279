"""Handwritten digits on textured backgrounds with their masks, in VOC's layout: segmentation without a download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrt.datasets.digit_pictures import DigitPictures, Placed
from mrt.datasets.voc_seg import HELD_OUT, LISTS, MASKS, TRAIN, VOID, YEAR, VOCSegmentation

_EDGE, _INSIDE = 0.1, 0.5  # of full ink: from where on a pixel is no background, and from where on it is of the digit
_PALETTE = [(step * 53) % 256 for step in range(3 * 256)]


class SegDigits(DigitPictures, VOCSegmentation):
    """scikit-learn's digits in `seg_digits/VOC2012`, classes background and 0 to 9; the tree is composed on demand.

    The pixels between a digit and the background count for no class, as VOC has it.
    """

    name = "seg_digits"
    classes: ClassVar[tuple[str, ...]] = ("background", *"0123456789")
    layouts: ClassVar[tuple[str, ...]] = ("seg_digits",)
    year: ClassVar[str] = YEAR
    lists: ClassVar[str] = LISTS
    truth: ClassVar[str] = MASKS
    sizes: ClassVar[Mapping[str, int]] = {TRAIN: 2000, HELD_OUT: 300}
    sides: ClassVar[tuple[int, int]] = (64, 97)
    seed: ClassVar[int] = 5

    @classmethod
    def _keep(cls, folder: Path, name: str, picture: NDArray[Any], digits: list[Placed]) -> None:
        mask = np.zeros(picture.shape[:2], np.uint8)
        for item in digits:
            part = mask[item.top : item.bottom, item.left : item.right]
            part[item.ink > _EDGE] = VOID
            part[item.ink >= _INSIDE] = 1 + item.label
        drawn = Image.fromarray(mask, mode="P")
        drawn.putpalette(_PALETTE)
        drawn.save(folder / f"{name}.png")
