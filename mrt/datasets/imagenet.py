"""ImageNet (ILSVRC) validation pictures in MXNet's RecordIO: JPEGs of any size in 1,000 classes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import mxnet as mx
import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.datasets.picture import resize_and_crop, shorter_side
from mrt.errors import MRTError

LAYOUTS = ("imagenet/rec", "rec", "")


class ImageNet(Dataset):
    """``val.rec`` with its index ``val.idx``; class names come from a ``synset.txt`` beside them or one folder up.

    A picture's shorter side is resized to ceil(H / crop) and its centre of H x W kept. There is only the one set of
    pictures: whoever calibrates on some evaluates on the others. It cannot be trained on.
    """

    name = "imagenet"
    splits: ClassVar[Mapping[str, str]] = {"calibration": "val.rec", "evaluation": "val.rec"}
    default = Preprocess(mean=(123.68, 116.779, 103.939), std=(58.393, 57.12, 57.375), scale=1.0, crop=0.875)
    shared_calibration = True

    def _check_shape(self) -> None:
        shape = self.input_shape
        if len(shape) != 4 or shape[1] != 3 or min(shape[2:]) < 1:
            raise MRTError(f"dataset {self.name}: input shape {','.join(map(str, shape))} must be -1,3,height,width")

    def _open(self) -> None:
        self._path = self._find("val.rec", LAYOUTS)
        index = self._path.with_suffix(".idx")
        if not index.is_file():
            raise MRTError(f"dataset {self.name}: {index} not found; make it with MXNet's tools/rec2idx.py")
        try:
            self._records = mx.recordio.MXIndexedRecordIO(str(index), str(self._path), "r")
        except (OSError, mx.MXNetError) as error:
            raise MRTError(f"dataset {self.name}: {self._path} or {index} cannot be read ({error})") from None
        except (ValueError, IndexError):
            raise MRTError(
                f"dataset {self.name}: {index} is not an index of 'key<TAB>offset' lines; make it anew with rec2idx.py"
            ) from None
        self._keys: list[int] = self._keys_of_pictures()
        last = max(self._records.idx.values(), default=-1)
        if not 0 <= last < self._path.stat().st_size:
            raise MRTError(
                f"dataset {self.name}: {index} is empty or points beyond the end of {self._path}; "
                "the two do not belong together or one is truncated: fetch them again"
            )
        self.labels = self._class_names(self._path.parent)

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        self._require_split(split)
        if split == "train":
            raise MRTError(f"dataset {self.name}: it has no training pictures; train on another dataset")
        return len(self._keys)

    def read(self, split: str, indices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Dataset.read`; the pixels are resized and cropped already."""
        if not len(indices):
            return np.empty((0, *self.input_shape[1:]), np.uint8), np.empty(0, np.int64)
        pictures, labels = zip(*(self._picture(self._keys[i]) for i in indices))
        return np.stack(pictures), np.array(labels, np.int64)

    def preprocess_info(self) -> dict[str, Any]:
        """See `Dataset.preprocess_info`; "resize" is the length of the shorter side before the crop."""
        size: tuple[int, int] = self.input_shape[2:]  # type: ignore[assignment]
        resize = shorter_side(size, float(self.preprocess.crop or 1))
        return {**(super().preprocess_info() or {}), "resize": resize, "interpolation": "bilinear"}

    def _picture(self, key: int) -> tuple[NDArray[Any], int]:
        """Pixels (3, H, W) and label of one record."""
        try:
            record = self._records.read_idx(key)
            if record is None:
                raise ValueError("the file ends before it")
            header, encoded = mx.recordio.unpack(record)
            if not encoded:
                raise MRTError(
                    f"dataset {self.name}: record {key} of {self._path} has no picture, as a header has none; leave it "
                    f"out of {self._path.with_suffix('.idx').name}"
                )
            size: tuple[int, int] = self.input_shape[2:]  # type: ignore[assignment]
            pixels = resize_and_crop(mx.image.imdecode(encoded), size, float(self.preprocess.crop or 1))
        except (mx.MXNetError, ValueError, struct.error) as error:
            reason = str(error).strip().splitlines()[-1]
            raise MRTError(
                f"dataset {self.name}: record {key} of {self._path} cannot be read ({reason}); fetch the file again"
            ) from None
        label = float(np.ravel(header.label)[0])
        if not label.is_integer():
            raise MRTError(f"dataset {self.name}: record {key} of {self._path} has the label {label}, no class number")
        return pixels, int(label)

    def _keys_of_pictures(self) -> list[int]:
        """All keys, but for what InsightFace's files have beside pictures: record 0 says with which key that begins."""
        keys: list[int] = self._records.keys
        try:
            header, encoded = mx.recordio.unpack(self._records.read_idx(keys[0]))
        except (IndexError, TypeError, ValueError, struct.error, mx.MXNetError):
            return keys  # what is wrong is said where pictures are read
        if encoded or not header.flag:
            return keys
        end = int(header.label[0])
        return [key for key in keys[1:] if key < end]

    def _class_names(self, folder: Path) -> list[str] | None:
        """What follows the WordNet id on each line of synset.txt, where there is one."""
        for path in (folder / "synset.txt", folder.parent / "synset.txt"):
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                return [line.split(" ", 1)[-1] for line in lines if line.strip()]
        return None
