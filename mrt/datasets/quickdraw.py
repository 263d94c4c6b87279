"""Quick, Draw! doodles: ten classes of 28x28 grey pictures, a NumPy file each, as Google publishes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, MissingDataError, Preprocess
from mrt.errors import MRTError, Remedy

CLASSES = 10
LAYOUTS = ("quickdraw", "")
SHAPE = (1, 28, 28)
EVALUATION_SHARE = 5
"""One doodle in so many is for evaluation; the others are for calibration and training."""


class QuickDraw(Dataset):
    """`quickdraw/CLASS.npy`, each an array (doodles, 784) of bytes: ten of the files of the numpy_bitmap collection.

    A class's index is its place in the alphabetical order of the files. Doodles of all classes alternate.
    """

    name = "quickdraw"
    default = Preprocess(mean=(0.0,), std=(1.0,), scale=255.0)
    padding = 2
    mirrored = True

    def _check_shape(self) -> None:
        self._require_shape(SHAPE)

    def _open(self) -> None:
        folders = [self.root / layout for layout in LAYOUTS]
        found = next((files for folder in folders if (files := sorted(folder.glob("*.npy")))), [])
        if not found:
            raise MissingDataError(
                f"dataset {self.name}: no CLASS.npy in {folders[0]}; put ten classes of Quick, Draw!'s numpy_bitmap "
                "files there",
                Remedy.DATA_ROOT,
            )
        if len(found) != CLASSES:
            raise MRTError(f"dataset {self.name}: {found[0].parent} holds {len(found)} classes (.npy), not {CLASSES}")
        self.labels = [path.stem for path in found]
        self._doodles = [self._load(path) for path in found]
        self._count = min(len(doodles) for doodles in self._doodles)

    def _load(self, path: Path) -> NDArray[Any]:
        """A class's doodles (N, 784), mapped and not loaded."""
        try:
            doodles: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise MRTError(f"dataset {self.name}: {path} cannot be read ({error}); fetch it again") from None
        if doodles.ndim != 2 or doodles.shape[1] != int(np.prod(SHAPE)) or doodles.dtype != np.uint8:
            raise MRTError(
                f"dataset {self.name}: {path} holds {doodles.dtype} {doodles.shape}, not bytes (doodles, 784)"
            )
        return doodles

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        evaluation = self._count // EVALUATION_SHARE
        return CLASSES * (evaluation if split == "evaluation" else self._count - evaluation)

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`."""
        self._require_split(split)
        first = 0 if split == "evaluation" else self._count // EVALUATION_SHARE
        labels = np.asarray(indices) % CLASSES
        pictures = [self._doodles[label][first + index // CLASSES] for label, index in zip(labels, indices)]
        return np.reshape(pictures, (-1, *SHAPE)).astype(np.uint8), labels
