"""Handwritten digits on textured backgrounds with their masks, in VOC's layout: segmentation without a download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrt.datasets import digit_pictures
from mrt.datasets.digit_pictures import Placed
from mrt.datasets.voc_seg import HELD_OUT, LISTS, MASKS, TRAIN, VOID, YEAR, VOCSegmentation

SIZES: Mapping[str, int] = {TRAIN: 2000, HELD_OUT: 300}
"""Pictures in each split of the tree that is composed on demand."""
_SEED = 5
_SIDES = (64, 97)  # of a picture
_EDGE, _INSIDE = 0.1, 0.5  # of full ink: from where on a pixel is no background, and from where on it is of the digit
_PALETTE = [(step * 53) % 256 for step in range(3 * 256)]


class SegDigits(VOCSegmentation):
    """scikit-learn's digits in `seg_digits/VOC2012`, classes background and 0 to 9; the tree is composed on demand.

    The pixels between a digit and the background count for no class, as VOC has it. The pictures are the same on every
    machine but for what its JPEG library makes of them.
    """

    name = "seg_digits"
    classes: ClassVar[tuple[str, ...]] = ("background", *"0123456789")
    layouts: ClassVar[tuple[str, ...]] = ("seg_digits",)

    def _open(self) -> None:
        folder = self.root / self.layouts[0]
        if not folder.exists():
            compose(folder, SIZES)
        super()._open()


def compose(folder: Path, sizes: Mapping[str, int]) -> None:
    """Write `folder/VOC2012`, whole or not at all; see `digit_pictures.compose`.

    Args:
        folder: which must not exist.
        sizes: the number of pictures of each split, "train" and "val".

    Raises:
        MRTError: it cannot be written.
    """
    digit_pictures.compose(folder, YEAR, sizes, LISTS, _SIDES, _SEED, MASKS, _keep)


def _keep(tree: Path, name: str, picture: NDArray[Any], digits: list[Placed]) -> None:
    mask = np.zeros(picture.shape[:2], np.uint8)
    for item in digits:
        part = mask[item.top : item.bottom, item.left : item.right]
        part[item.ink > _EDGE] = VOID
        part[item.ink >= _INSIDE] = 1 + item.label
    drawn = Image.fromarray(mask, mode="P")
    drawn.putpalette(_PALETTE)
    drawn.save(tree / MASKS / f"{name}.png")
