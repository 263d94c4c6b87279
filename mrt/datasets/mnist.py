"""MNIST in its idx files, packed (.gz) or not: 28x28 grey pictures of handwritten digits.

An idx file is two zero bytes, the type (8: unsigned byte), the number of axes, the axes' sizes (big-endian 32 bit)
and the bytes themselves, as described at http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.errors import MRTError

LAYOUTS = ("mnist", "")
_MOST_BYTES = 64 * 2**20
FILES = {"train": "train", "calibration": "train", "evaluation": "t10k"}


class MNIST(Dataset):
    """MNIST; calibration uses the training pictures."""

    name = "mnist"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "train", "evaluation": "t10k"}
    default = Preprocess(mean=(0.0,), std=(1.0,), scale=255.0)
    padding = 2

    def _check_shape(self) -> None:
        self._require_shape((1, 28, 28))

    def _open(self) -> None:
        self.labels = [str(digit) for digit in range(10)]
        self._loaded: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        return len(self._split(split)[1])

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`."""
        pictures, labels = self._split(split)
        return pictures[indices], labels[indices]

    def _split(self, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Pictures (N, 1, 28, 28) and labels (N,) of a split: 47 MB at most, loaded once."""
        self._require_split(split)
        stem = FILES[split]
        if stem not in self._loaded:
            pictures = self._idx(f"{stem}-images-idx3-ubyte", (28, 28))
            labels = self._idx(f"{stem}-labels-idx1-ubyte", ())
            if len(pictures) != len(labels) or (labels > 9).any():
                raise MRTError(
                    f"dataset {self.name}: {len(pictures)} pictures in {stem}-images-idx3-ubyte but "
                    f"{len(labels)} labels in {stem}-labels-idx1-ubyte, or a label above 9; fetch both files again"
                )
            self._loaded[stem] = pictures[:, None], labels
        return self._loaded[stem]

    def _idx(self, filename: str, shape: tuple[int, ...]) -> NDArray[Any]:
        path = self._packed_or_not(filename)
        try:
            with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
                content = stream.read(_MOST_BYTES + 1)  # never what a small file unpacks to
        except (OSError, EOFError, zlib.error) as error:
            raise MRTError(f"dataset {self.name}: {path} cannot be unpacked ({error}); fetch it again") from None
        if len(content) > _MOST_BYTES:
            raise MRTError(
                f"dataset {self.name}: {path} holds more than {_MOST_BYTES:,} bytes, so it is not MNIST; fetch it again"
            )
        axes = 1 + len(shape)
        header = 4 + 4 * axes
        sizes = tuple(int(size) for size in np.frombuffer(content[4 : header if len(content) >= header else 4], ">u4"))
        if content[:4] != bytes((0, 0, 8, axes)) or sizes[1:] != shape or len(content) != header + int(np.prod(sizes)):
            raise MRTError(
                f"dataset {self.name}: {path} is not an idx file of {'x'.join(map(str, ('N', *shape)))} bytes, "
                "or is truncated; fetch it again"
            )
        return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)

    def _packed_or_not(self, filename: str) -> Path:
        try:
            return self._find(filename, LAYOUTS)
        except MRTError:
            return self._find(filename + ".gz", LAYOUTS)
