"""Pictures of scikit-learn's handwritten digits on textured backgrounds, and the trees they are kept in."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrt.datasets.base import Dataset
from mrt.datasets.digits import Digits
from mrt.datasets.texture import texture
from mrt.datasets.voc import PICTURES
from mrt.errors import MRTError, Remedy

_SOURCES = ("train", "evaluation")  # of the digits: no handwriting of one split is in the other
_DIGITS = (1, 5)  # on a picture, at most what finds room
_HEIGHTS = (0.26, 0.46)  # of a digit, as a part of the picture's
_STRETCH = (0.85, 1.15)  # of its width
_INK = 0.35  # of full ink: what counts as part of the digit
_CONTRAST = 70  # grey levels between a digit and what is behind it
_GAP = 2  # pixels between boxes
_TRIES = 20
_QUALITY = 92


@dataclass(frozen=True)
class Placed:
    """A digit on a picture: its label, its ink (rows, columns) from 0 to 1, and where that begins."""

    label: int
    ink: NDArray[Any]
    left: int
    top: int

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.left + int(self.ink.shape[1])

    @property
    def bottom(self) -> int:
        """The first row beyond it."""
        return self.top + int(self.ink.shape[0])

    def near(self, other: Placed) -> bool:
        """Whether the boxes of two touch or nearly do."""
        across = min(self.right, other.right) + _GAP > max(self.left, other.left)
        return across and min(self.bottom, other.bottom) + _GAP > max(self.top, other.top)


class DigitPictures(Dataset):
    """Datasets in Pascal VOC's layout, whose tree is composed of scikit-learn's digits where there is none.

    A picture depends on its split and number only, and is the same on every machine but for what its JPEG library makes
    of it.
    """

    year: ClassVar[str]
    """The folder of the tree that all is in."""
    lists: ClassVar[str]
    """The folder in it of the splits' lists."""
    truth: ClassVar[str]
    """The folder in it of what is on the pictures."""
    sizes: ClassVar[Mapping[str, int]]
    """The number of pictures of each split, the one to train on first."""
    sides: ClassVar[tuple[int, int]]
    """The shortest side of a picture, and one more than the longest."""
    seed: ClassVar[int]
    """Of all that is drawn."""

    @classmethod
    @abstractmethod
    def _keep(cls, folder: Path, name: str, picture: NDArray[Any], digits: list[Placed]) -> None:
        """Write to the folder of truths what is on the picture (H, W, 3) of that name."""

    def _unpacked(self, folder: str, layouts: tuple[str, ...], archives: str) -> Path:
        """Composed in place of archives."""
        composed = self.root / layouts[0]
        if not composed.exists():
            self.compose(composed)
        return super()._unpacked(folder, layouts, archives)

    @classmethod
    def compose(cls, folder: Path, sizes: Mapping[str, int] | None = None) -> None:
        """Write the tree, whole or not at all.

        Args:
            folder: which must not exist.
            sizes: in place of the class's own.

        Raises:
            MRTError: it cannot be written.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
                tree = Path(scratch) / folder.name / cls.year
                for part in (cls.truth, cls.lists, PICTURES):
                    (tree / part).mkdir(parents=True)
                for number, ((split, size), source) in enumerate(zip((sizes or cls.sizes).items(), _SOURCES)):
                    names = [f"{number}{index:05}" for index in range(size)]
                    cls._draw(tree, names, number, source)
                    (tree / cls.lists / f"{split}.txt").write_text("\n".join(names) + "\n")
                os.rename(tree.parent, folder)
        except OSError as error:
            raise MRTError(
                f"dataset {folder.name}: {folder} cannot be written: {error.strerror}", Remedy.DATA_ROOT
            ) from None

    @classmethod
    def _draw(cls, tree: Path, names: list[str], number: int, source: str) -> None:
        """Write the pictures of a split, of a source of digits."""
        pool = Digits(None, (-1, 1, 8, 8))
        pixels, labels = pool.read(source, np.arange(pool.size(source)))
        for index, name in enumerate(names):
            rng = np.random.default_rng([cls.seed, number, index])
            picture, digits = _picture(rng, pixels[:, 0], labels, cls.sides)
            Image.fromarray(picture).save(tree / PICTURES / f"{name}.jpg", quality=_QUALITY)
            cls._keep(tree / cls.truth, name, picture, digits)


def _picture(
    rng: np.random.Generator, digits: NDArray[Any], labels: NDArray[Any], sides: tuple[int, int]
) -> tuple[NDArray[Any], list[Placed]]:
    """A picture (H, W, 3) and what is on it, drawn from digits (N, 8, 8) with values 0 to 16."""
    width, height = (int(side) for side in rng.integers(*sides, size=2))
    canvas = texture(rng, (3, height, width), rng.uniform(12, 32), rng.uniform(48, 208, 3)).transpose(1, 2, 0)
    found: list[Placed] = []
    for _ in range(int(rng.integers(_DIGITS[0], _DIGITS[1] + 1))):
        number = int(rng.integers(len(digits)))
        ink = _drawn(digits[number], height * rng.uniform(*_HEIGHTS), rng.uniform(*_STRETCH))
        rows, columns = ink.shape
        for _ in range(_TRIES):
            top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
            placed = Placed(int(labels[number]), ink, left, top)
            if not any(placed.near(other) for other in found):
                behind = canvas[top : top + rows, left : left + columns]
                behind += ink[:, :, None] * (_colour(rng, behind.mean()) - behind)
                found.append(placed)
                break
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), found


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
