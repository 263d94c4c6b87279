"""Arrays in one .npz file: any shape, any number of inputs."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.ready import Ready
from mrt.errors import MRTError, Remedy
from mrt.graph.batch import Samples

_FILE = "data.npz"
_TRAIN, _HELD_OUT = ("", "_train"), ("_val", "_test")
_LABELS, _ONLY = "y", "x"
_SEED = 0


class Npz(Ready):
    """Arrays `x` and `y` (labels, may be missing); of several inputs, one by each input's name instead of `x`.

    `x_val` and `y_val` (or `_test`) are for evaluation where they are there, and `x` and `y` (or `x_train`, …) for
    calibration. Else both draw on the same samples, calibration on the first ones and evaluation on the others, in the
    order `numpy.random.default_rng(0).permutation(len(y))`, so that they may be sorted by class in the file.
    """

    name = "npz"
    needs_folder = True

    def _open(self) -> None:
        self._path = self.root if self.root.is_file() else self.root / _FILE
        if not self._path.is_file():
            raise MissingDataError(f"dataset {self.name}: there is no {self._path}", Remedy.DATA_PLACE)
        stored = _load(self._path)
        self._suffix: dict[str, str] = {}
        train, held_out = (self._found(stored, suffixes) for suffixes in (_TRAIN, _HELD_OUT))
        calibrated = train if train is not None else held_out
        evaluated = held_out if held_out is not None else train
        if calibrated is None or evaluated is None:
            wanted = ", ".join(self.inputs) if len(self.inputs) > 1 else _ONLY
            raise MRTError(
                f"dataset {self.name}: {self._path} must have the arrays {wanted} and {_LABELS}; it has "
                f"{', '.join(sorted(stored)) or 'none'}"
            )
        self.shared_calibration = calibrated == evaluated
        self._suffixes = {"calibration": calibrated, "evaluation": evaluated}
        if not self.shared_calibration:
            self._suffixes["train"] = calibrated
        self.labelled = all(_LABELS + suffix in stored for suffix in self._suffixes.values())
        self._stored, self._samples = stored, Samples(self.inputs)
        self._orders = {suffix: self._order(suffix) for suffix in {calibrated, evaluated}}

    def _found(self, stored: dict[str, NDArray[Any]], suffixes: tuple[str, ...]) -> str | None:
        """The first of the suffixes for which all inputs are there."""
        return next((s for s in suffixes if all(self._key(name) + s in stored for name in self.inputs)), None)

    def _key(self, name: str) -> str:
        return name if len(self.inputs) > 1 else _ONLY

    def _order(self, suffix: str) -> NDArray[Any]:
        feed = self._feed(suffix)
        for name in self.inputs:
            self._ready(name, feed[name])
        count = self._samples.count(feed)
        labels = self._stored.get(_LABELS + suffix)
        if labels is not None:
            if labels.ndim < 1 or len(labels) != count:
                raise MRTError(
                    f"dataset {self.name}: {self._path} has {count} samples, but {_LABELS}{suffix} has the shape "
                    f"{labels.shape}"
                )
            self.model_labels(labels)
        if not count:
            raise MRTError(f"dataset {self.name}: {self._path} has no samples")
        return np.random.default_rng(_SEED).permutation(count)

    def _feed(self, suffix: str) -> dict[str, NDArray[Any]]:
        return {name: self._stored[self._key(name) + suffix] for name in self.inputs}

    def where(self, name: str) -> str:
        """See `Ready.where`."""
        return f"{_LABELS if name == _LABELS else self._key(name)} of {self._path}"

    @property
    def title(self) -> str:
        """See `Dataset.title`."""
        return f"{self.name} {self._path}"

    def split_name(self, split: str) -> str:
        """See `Dataset.split_name`: the names of the arrays."""
        return ", ".join(self._key(name) + self._suffixes[split] for name in self.inputs)

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        return len(self._orders[self._suffix_of(split)])

    def read(self, split: str, indices: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """See `Ready`; labels are -1 where there are none."""
        suffix = self._suffix_of(split)
        chosen = self._orders[suffix][indices]
        labels = self._stored[_LABELS + suffix][chosen] if self.labelled else np.full(len(chosen), -1)
        return self._samples.take(self._feed(suffix), chosen), labels

    def _suffix_of(self, split: str) -> str:
        self._require_split(split)
        if split not in self._suffixes:
            raise MRTError(
                f"dataset {self.name}: {self._path} has no training samples apart from those to evaluate on; add "
                "arrays x_val and y_val"
            )
        return self._suffixes[split]


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if size > memory // 2:
            raise MRTError(f"{path}: its arrays take {size / 2**30:.1f} GiB, more than half of this machine's memory")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise MRTError(f"{path}: is no readable .npz file of plain arrays ({error})") from None
