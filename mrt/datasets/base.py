"""What every dataset shares: where files are looked for, splits, streaming, normalisation, augmentation."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.metric import Metric, TopK
from mrt.errors import MRTError, Remedy
from mrt.graph.batch import InputShape
from mrt.integer.pixels import Pixels

SPLITS = ("calibration", "evaluation", "train")
_CHANNELS = {1: "grey", 3: "RGB"}


class MissingDataError(MRTError):
    """A dataset's file is not there."""


class UnfitError(MRTError):
    """A dataset cannot give what the network reads."""


@dataclass(frozen=True)
class Preprocess:
    """From stored pixels to network input: ``(pixels / scale - mean) / std``, mean and std per channel.

    A field left at None takes the dataset's own value (`Dataset.default`).

    Attributes:
        mean: per channel (one value stands for all), in units of the scaled pixels.
        std: likewise.
        scale: what a pixel is divided by first, such as 255 for [0, 1].
        label_offset: class index of the model = label of the dataset + label_offset.
        crop: side of the central square kept, as a fraction of the shorter side; only where a dataset crops.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | None = None
    label_offset: int = 0
    crop: float | None = None


class Dataset(ABC):
    """Labelled pictures in three splits, always delivered in the same order.

    A dataset says how many pictures a split has (`size`) and reads the stored pixels of some of them (`read`);
    this class streams them in preprocessed batches, so that no more than one batch is held in memory.

    Args:
        root: directory to look in, both for the dataset's own layout and for the bare files; None means the
            environment variable MRT_DATA, or ``data`` in the working directory where that is not set.
        input_shape: the network's input, batch axis first (-1 or any number there), then channels, height, width; or
            such shapes by the inputs' names.
        preprocess: what differs from the dataset's own preprocessing.

    Raises:
        MRTError: the shape does not fit the pictures, the preprocessing does not fit the channels, or a file is
            missing, truncated or of the wrong size.
    """

    name: str
    default: Preprocess
    splits: ClassVar[Mapping[str, str]] = {}
    """What its publisher calls the splits, where that is something else."""
    needs_folder: ClassVar[bool] = False
    """Whether its root must be given, as nobody can know it."""
    several_inputs: ClassVar[bool] = False
    """Whether it can feed a network of several inputs."""
    shared_calibration: bool = False
    """True where calibration and evaluation draw on the same pictures, so that a user must keep them apart."""
    padding: ClassVar[int] = 0
    """Pixels by which augmentation shifts a picture at most."""
    mirrored: ClassVar[bool] = False
    """Whether augmentation may mirror a picture left to right without changing its meaning."""
    labelled: bool = True
    """Whether the labels say what is right."""
    labels: list[str] | None = None
    """Class names by class index of the model, where they are known."""

    def __init__(self, root: Path | None, input_shape: InputShape, preprocess: Preprocess | None = None) -> None:
        if root is None and self.needs_folder:
            raise MRTError(f"dataset {self.name}: it has no folder of its own", Remedy.DATA_PLACE)
        self.root = Path(root if root is not None else os.environ.get("MRT_DATA") or "data").expanduser()
        self.inputs = dict(input_shape) if isinstance(input_shape, Mapping) else {"data": tuple(input_shape)}
        if len(self.inputs) > 1 and not self.several_inputs:
            raise UnfitError(
                f"dataset {self.name}: it gives one input, but the network reads {', '.join(self.inputs)}",
                Remedy.ANY_INPUTS,
            )
        self.input_shape = next(iter(self.inputs.values()))
        try:
            self._check_shape()
        except MRTError as error:
            raise UnfitError(str(error)) from None
        self.preprocess = self._complete(preprocess or Preprocess())
        self._open()
        if self.labels is not None and self.preprocess.label_offset > 0:
            self.labels = ["background"] * self.preprocess.label_offset + self.labels

    @abstractmethod
    def size(self, split: str) -> int:
        """Number of pictures in a split ("calibration", "evaluation" or "train"); MRTError where it has none."""

    @abstractmethod
    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Stored pixels (N, C, H, W), not normalised, and the dataset's own labels (N,) of some pictures of a split."""

    @abstractmethod
    def _check_shape(self) -> None:
        """Raises MRTError where `input_shape` does not fit the pictures."""

    @abstractmethod
    def _open(self) -> None:
        """Finds and checks the files."""

    def batches(
        self, split: str, batch: int, start: int = 0, count: int | None = None
    ) -> Iterator[tuple[Any, NDArray[Any]]]:
        """Streams ``count`` pictures of a split (all where None) from number ``start`` on, ``batch`` at a time.

        Yields:
            Network input, float32 (n, C, H, W), or an array for each input by its name, and class indices of the
            model, int64 (n,); the last batch may be short.

        Raises:
            MRTError: the batch is not positive, or the split does not have that many pictures.
        """
        size = self.size(split)
        stop = size if count is None else start + count
        if batch < 1:
            raise MRTError(f"dataset {self.name}: a batch of {batch} pictures; give a positive number")
        if start < 0 or stop < start or stop > size:
            raise MRTError(
                f"dataset {self.name}: pictures {start} to {stop} asked for, but split {split!r} "
                f"has {size}; ask for fewer"
            )
        return self._stream(split, batch, start, stop)

    def _stream(self, split: str, batch: int, start: int, stop: int) -> Iterator[tuple[Any, NDArray[Any]]]:
        for first in range(start, stop, batch):
            pixels, labels = self.read(split, np.arange(first, min(first + batch, stop)))
            yield self.normalise(pixels), self.model_labels(labels)

    def normalise(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Stored pixels (N, C, H, W) to float32 network input."""
        per_channel = (1, -1) + (1,) * (pixels.ndim - 2)
        mean = np.asarray(self.preprocess.mean, np.float32).reshape(per_channel)
        std = np.asarray(self.preprocess.std, np.float32).reshape(per_channel)
        scaled = pixels.astype(np.float32) / np.float32(self.preprocess.scale)
        return np.ascontiguousarray((scaled - mean) / std)

    @property
    def pixels(self) -> dict[str, Pixels]:
        """By its name, the input that `normalise` makes of bytes, and how; none where that is not so."""
        if len(self.inputs) > 1 or len(self.input_shape) < 2 or self.input_shape[0] != -1:
            return {}
        stored, _ = self.read("calibration", np.arange(1))
        return self._pixels_of(stored)

    def _pixels_of(self, stored: NDArray[Any]) -> dict[str, Pixels]:
        known = self.preprocess
        if stored.dtype != np.uint8 or not (known.mean and known.std and known.scale):
            return {}
        return {next(iter(self.inputs)): Pixels.normalised(known.mean, known.std, known.scale)}

    def model_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """The dataset's labels to class indices of the model, int64."""
        return labels.astype(np.int64) + self.preprocess.label_offset

    def augment(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Shifts each picture of (N, C, H, W) by up to `padding` pixels, filling with 0, and mirrors half of them."""
        count, _, height, width = pixels.shape
        pad = self.padding
        padded = np.pad(pixels, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        corners = rng.integers(0, 2 * pad + 1, size=(count, 2))
        mirror = rng.random(count) < (0.5 if self.mirrored else 0.0)
        result = np.empty_like(pixels)
        for i, (top, left) in enumerate(corners):
            picture = padded[i, :, top : top + height, left : left + width]
            result[i] = picture[:, :, ::-1] if mirror[i] else picture
        return result

    def metric(self) -> Metric:
        """A fresh metric that judges the network's outputs on this dataset; of no use where it is not `labelled`."""
        return TopK((1, 5))

    @property
    def title(self) -> str:
        """What a reader of a report knows it by."""
        return self.name

    def split_name(self, split: str) -> str:
        """What a reader of a report knows the split by."""
        return self.splits.get(split, split)

    def preprocess_info(self) -> dict[str, Any] | None:
        """How network input is made, as plain values for a model's description; None: by the user.

        What is no picture of one or three channels has neither channels nor layout there.
        """
        info = asdict(self.preprocess)
        picture = len(self.input_shape) == 4 and self.input_shape[1] in _CHANNELS
        return {
            **info,
            "mean": list(info["mean"]),
            "std": list(info["std"]),
            "channels": _CHANNELS[self.input_shape[1]] if picture else None,
            "layout": "NCHW" if picture else None,
            "resize": None,
            "interpolation": None,
        }

    def _unscaled(self, given: Preprocess, what: str) -> Preprocess:
        """The preprocessing of a dataset of `what`, of which only the labels' offset can be given."""
        if given != Preprocess(label_offset=given.label_offset):
            raise MRTError(f"dataset {self.name}: {what} have no mean, std, scale or crop; leave them out")
        return Preprocess(self.default.mean, self.default.std, self.default.scale, given.label_offset)

    def _require_split(self, split: str) -> None:
        if split not in SPLITS:
            raise MRTError(f"dataset {self.name}: no split {split!r}; there are {', '.join(SPLITS)}")

    def _require_shape(self, shape: tuple[int, ...]) -> None:
        if self.input_shape[1:] != shape:
            wanted = ",".join(map(str, (-1, *shape)))
            given = ",".join(map(str, self.input_shape))
            raise MRTError(f"dataset {self.name}: input shape {given} does not fit its pictures; it must be {wanted}")

    def _find(self, filename: str, layouts: tuple[str, ...]) -> Path:
        """The file, in the first of the directories ``layouts`` below the root that has it."""
        for layout in layouts:
            path = self.root / layout / filename
            if path.is_file():
                return path
        raise MissingDataError(
            f"dataset {self.name}: {filename} not found; put it in {self.root / layouts[0]}", Remedy.DATA_ROOT
        )

    def _unpacked(self, folder: str, layouts: tuple[str, ...], archives: str) -> Path:
        """The first of the directories ``layouts`` below the root that has the folder, which comes in archives."""
        roots = [self.root / layout for layout in layouts]
        for root in roots:
            if (root / folder).is_dir():
                return root
        raise MissingDataError(
            f"dataset {self.name}: no {folder} in {roots[0]}; unpack {archives} there", Remedy.DATA_ROOT
        )

    def _complete(self, given: Preprocess) -> Preprocess:
        default = self.default
        merged = Preprocess(
            mean=self._per_channel("mean", given.mean if given.mean is not None else default.mean),
            std=self._per_channel("std", given.std if given.std is not None else default.std),
            scale=given.scale if given.scale is not None else default.scale,
            label_offset=given.label_offset,
            crop=given.crop if given.crop is not None else default.crop,
        )
        if merged.scale is None or merged.scale <= 0 or min(merged.std or (0,)) <= 0:
            raise MRTError(f"dataset {self.name}: scale {merged.scale} and std {merged.std} must be positive")
        if given.crop is not None and default.crop is None:
            raise MRTError(
                f"dataset {self.name}: crop {given.crop} given, but its pictures are used whole; leave it out"
            )
        if merged.crop is not None and not 0 < merged.crop <= 1:
            raise MRTError(f"dataset {self.name}: crop {merged.crop} must lie in (0, 1]")
        return merged

    def _per_channel(self, field: str, values: tuple[float, ...] | None) -> tuple[float, ...]:
        channels = self.input_shape[1]
        if values is None or len(values) not in (1, channels):
            raise MRTError(f"dataset {self.name}: {field} {values} must have one value, or {channels}, one per channel")
        return tuple(values) if len(values) == channels else tuple(values) * channels
