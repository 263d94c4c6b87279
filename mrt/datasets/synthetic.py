"""Seeded pictures that stand in for a dataset whose files are not there, in runs that judge no accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.datasets.ready import Ready
from mrt.datasets.texture import texture
from mrt.graph.batch import InputShape

COUNT = 1024
_SEEDS = {"calibration": 0, "evaluation": 1, "train": 2}
_CONTRAST = 48.0
_PICTURE_AXES = 3


class Synthetic(Dataset):
    """Noise with the spectrum of natural pictures, power falling as 1 / frequency^2 (Field, 1987); no labels.

    What has not three axes is noise without any spectrum.

    The same number of a split is always the same picture.

    Args:
        original: the dataset it stands in for, whose preprocessing it takes.
        input_shape: as for any dataset.
        preprocess: as for any dataset.
        number: of the input, where there are several: each gets its own pictures.
    """

    name = "synthetic"

    def __init__(
        self,
        original: type[Dataset],
        input_shape: tuple[int, ...],
        preprocess: Preprocess | None = None,
        number: int = 0,
    ) -> None:
        self.default = original.default
        self._number = [number] if number else []
        super().__init__(None, input_shape, preprocess)

    def _check_shape(self) -> None:
        """Any shape of one input will do."""
        self._axis = self.input_shape.index(-1)
        self._sample = tuple(size for size in self.input_shape if size != -1)

    def _complete(self, given: Preprocess) -> Preprocess:
        self.default = replace(self.default, mean=self._fitting(self.default.mean), std=self._fitting(self.default.std))
        return super()._complete(replace(given, mean=self._fitting(given.mean), std=self._fitting(given.std)))

    def _fitting(self, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """Values for the channels of another input than the original's: their mean for all."""
        fits = values is None or len(values) == 1 or (self._axis == 0 and self.input_shape[1:2] == (len(values),))
        return values if fits or values is None else (float(np.mean(values)),)

    def _per_channel(self, field: str, values: tuple[float, ...] | None) -> tuple[float, ...]:
        channels = self._axis == 0 and len(self.input_shape) > 1
        return super()._per_channel(field, values) if channels else values or (0.0,)

    def _open(self) -> None:
        """There are no files."""

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return COUNT

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`; the labels are all 0 and mean nothing."""
        self._require_split(split)
        pictures = [
            self._picture(np.random.default_rng([_SEEDS[split], int(index), *self._number])) for index in indices
        ]
        return np.stack(pictures, self._axis), np.zeros(len(pictures), np.int64)

    def _picture(self, rng: np.random.Generator) -> NDArray[Any]:
        if len(self._sample) != _PICTURE_AXES:
            return rng.integers(0, 256, self._sample, np.uint8)
        channels, height, width = self._sample
        pixels = texture(rng, (channels, height, width), _CONTRAST, 128.0)
        picture: NDArray[Any] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return picture


class SyntheticInputs(Ready):
    """Likewise, for each input of a network of several.

    Args:
        original: as for `Synthetic`.
        input_shape: shapes by the inputs' names.
        preprocess: as for any dataset.
    """

    name = Synthetic.name

    def __init__(
        self, original: type[Dataset], input_shape: Mapping[str, tuple[int, ...]], preprocess: Preprocess | None = None
    ) -> None:
        self._each = {
            name: Synthetic(original, shape, preprocess, number)
            for number, (name, shape) in enumerate(input_shape.items())
        }
        super().__init__(None, input_shape)

    def _open(self) -> None:
        """There are no files."""

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return COUNT

    def read(self, split: str, indices: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """See `Ready`; the labels are all 0 and mean nothing."""
        read = {name: each.normalise(each.read(split, indices)[0]) for name, each in self._each.items()}
        return read, np.zeros(len(indices), np.int64)


def stand_in(original: type[Dataset], input_shape: InputShape, preprocess: Preprocess | None = None) -> Dataset:
    """What stands in for a dataset, for a network of one input or of several."""
    if isinstance(input_shape, Mapping):
        return SyntheticInputs(original, input_shape, preprocess)
    return Synthetic(original, input_shape, preprocess)
