"""CIFAR-10 in its binary layout: 32x32 colour pictures of ten classes.

Each file holds records of one label byte and 3072 pixel bytes (the red, green and blue planes), as described at
https://www.cs.toronto.edu/~kriz/cifar.html. Mean and standard deviation are those of the training set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.errors import MRTError

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
LAYOUTS = ("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "")
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
FILES = {"train": TRAIN, "calibration": TRAIN, "evaluation": ("test_batch.bin",)}


class CIFAR10(Dataset):
    """CIFAR-10; calibration uses the training pictures."""

    name = "cifar10"
    splits: ClassVar[Mapping[str, str]] = {
        "calibration": "data_batch_1..5",
        "evaluation": "test_batch",
    }
    default = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010), scale=255.0)
    padding = 4
    mirrored = True

    def _check_shape(self) -> None:
        self._require_shape(SHAPE)

    def _open(self) -> None:
        self.labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
        self._records: dict[str, NDArray[Any]] = {}

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        return sum(len(self._file(name)) for name in self._files(split))

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`."""
        files = [self._file(name) for name in self._files(split)]
        starts = np.cumsum([0] + [len(records) for records in files])
        owners = np.searchsorted(starts, indices, side="right") - 1
        records = np.stack([files[owner][i - starts[owner]] for i, owner in zip(indices, owners)])
        return records[:, 1:].reshape(-1, *SHAPE), records[:, 0]

    def _files(self, split: str) -> tuple[str, ...]:
        self._require_split(split)
        return FILES[split]

    def _file(self, filename: str) -> NDArray[Any]:
        """A file's records (N, RECORD), mapped and not loaded."""
        if filename not in self._records:
            path = self._find(filename, LAYOUTS)
            size = path.stat().st_size
            if size == 0 or size % RECORD:
                raise MRTError(
                    f"dataset {self.name}: {path} has {size} bytes, not a multiple of {RECORD}; "
                    "it is truncated or not CIFAR-10's binary version: fetch it again"
                )
            try:
                records = np.memmap(path, np.uint8, "r").reshape(-1, RECORD)
            except OSError as error:
                raise MRTError(f"dataset {self.name}: {path} cannot be read: {error.strerror}") from None
            if records[:, 0].max() > 9:
                raise MRTError(f"dataset {self.name}: {path} has a label above 9; it is not CIFAR-10's binary version")
            self._records[filename] = records
        return self._records[filename]
