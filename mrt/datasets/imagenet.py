"""ImageNet (ILSVRC) validation pictures in MXNet's RecordIO: JPEGs of any size in 1,000 classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.errors import MRTError

LAYOUTS = ("imagenet/rec", "rec", "")
BILINEAR = 1


class ImageNet(Dataset):
    """``val.rec`` with its index ``val.idx``; class names come from a ``synset.txt`` beside them or one folder up.

    A picture's shorter side is resized to ceil(H / crop) and its centre of H x W kept. There is only the one set of
    pictures: whoever calibrates on some evaluates on the others. It cannot be trained on.
    """

    name = "imagenet"
    default = Preprocess(mean=(123.68, 116.779, 103.939), std=(58.393, 57.12, 57.375), scale=1.0, crop=0.875)
    shared_calibration = True

    def _check_shape(self) -> None:
        shape = self.input_shape
        if len(shape) != 4 or shape[1] != 3 or min(shape[2:]) < 1:
            raise MRTError(f"dataset {self.name}: Input_shape {','.join(map(str, shape))} must be -1,3,height,width")

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
        self._keys: list[int] = self._records.keys
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
        return {**super().preprocess_info(), "resize": self._shorter_side()}

    def _shorter_side(self) -> int:
        return math.ceil(max(self.input_shape[2:]) / float(self.preprocess.crop or 1))

    def _picture(self, key: int) -> tuple[NDArray[Any], int]:
        """Pixels (3, H, W) and label of one record."""
        try:
            record = self._records.read_idx(key)
            if record is None:
                raise ValueError("the file ends before it")
            header, encoded = mx.recordio.unpack(record)
            picture = mx.image.resize_short(mx.image.imdecode(encoded), self._shorter_side(), interp=BILINEAR).asnumpy()
        except (mx.MXNetError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise MRTError(
                f"dataset {self.name}: record {key} of {self._path} cannot be read ({reason}); fetch the file again"
            ) from None
        height, width = self.input_shape[2:]
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        cropped = picture[top : top + height, left : left + width]
        return cropped.transpose(2, 0, 1), int(np.ravel(header.label)[0])

    def _class_names(self, folder: Path) -> list[str] | None:
        """What follows the WordNet id on each line of synset.txt, where there is one."""
        for path in (folder / "synset.txt", folder.parent / "synset.txt"):
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                return [line.split(" ", 1)[-1] for line in lines if line.strip()]
        return None
