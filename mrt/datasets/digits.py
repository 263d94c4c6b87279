"""The handwritten digits that come with scikit-learn: 1,797 grey pictures of 8x8, from UCI's optdigits test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mrt.datasets.base import Dataset, Preprocess

EVALUATION = 500


class Digits(Dataset):
    """scikit-learn's digits, no files needed; 500 are kept for evaluation, calibration uses the training pictures."""

    name = "digits"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "train", "evaluation": "500 held out"}
    default = Preprocess(mean=(0.0,), std=(1.0,), scale=16.0)
    padding = 1

    def _check_shape(self) -> None:
        self._require_shape((1, 8, 8))

    def _open(self) -> None:
        self.labels = [str(digit) for digit in range(10)]
        pixels, labels = load_digits(return_X_y=True)
        pictures = pixels.reshape(-1, 1, 8, 8).astype(np.uint8)
        parts = train_test_split(pictures, labels, test_size=EVALUATION, random_state=0, stratify=labels)
        train, evaluation = tuple(parts[0::2]), tuple(parts[1::2])
        self._splits = {"train": train, "calibration": train, "evaluation": evaluation}

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        return len(self._splits[split][1])

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`."""
        self._require_split(split)
        pictures, labels = self._splits[split]
        return pictures[indices], labels[indices]
