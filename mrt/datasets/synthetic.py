"""Seeded pictures that stand in for a dataset whose files are not there, in runs that judge no accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.datasets.texture import texture

COUNT = 1024
_SEEDS = {"calibration": 0, "evaluation": 1, "train": 2}
_CONTRAST = 48.0


class Synthetic(Dataset):
    """Noise with the spectrum of natural pictures, power falling as 1 / frequency^2 (Field, 1987); no labels.

    The same number of a split is always the same picture.

    Args:
        original: the dataset it stands in for, whose preprocessing it takes.
        input_shape: as for any dataset.
        preprocess: as for any dataset.
    """

    name = "synthetic"

    def __init__(
        self, original: type[Dataset], input_shape: tuple[int, ...], preprocess: Preprocess | None = None
    ) -> None:
        """See the class."""
        self.default = original.default
        super().__init__(None, input_shape, preprocess)

    def _check_shape(self) -> None:
        """Any shape of channels, height, width will do."""

    def _open(self) -> None:
        """There are no files."""

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return COUNT

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`; the labels are all 0 and mean nothing."""
        self._require_split(split)
        pictures = [self._picture(np.random.default_rng([_SEEDS[split], int(index)])) for index in indices]
        return np.stack(pictures), np.zeros(len(pictures), np.int64)

    def _picture(self, rng: np.random.Generator) -> NDArray[Any]:
        channels, height, width = self.input_shape[1:]
        pixels = texture(rng, (channels, height, width), _CONTRAST, 128.0)
        picture: NDArray[Any] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return picture
