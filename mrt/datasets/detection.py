"""What datasets for object detection share: pictures of any size, resized whole to the network's input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.datasets.picture import recoloured
from mrt.errors import MRTError
from mrt.packages import prepare_gluoncv

BY_SIZE = 9
"""MXNet's choice of interpolation by size: area where the picture shrinks, cubic where it grows."""


class Detection(Dataset):
    """Pictures in RGB, preprocessed as GluonCV does for SSD and YOLO3: resized, [0, 1], ImageNet's mean and std."""

    default = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), scale=255.0)

    def _check_shape(self) -> None:
        if len(self.input_shape) != 4 or self.input_shape[1] != 3:
            given = ",".join(map(str, self.input_shape))
            raise MRTError(f"dataset {self.name}: input shape {given} does not fit its pictures; it must be -1,3,H,W")

    def _complete(self, given: Preprocess) -> Preprocess:
        if given.label_offset:
            raise MRTError(f"dataset {self.name}: objects have no label offset")
        return super()._complete(given)

    def model_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """The labels as `read` gives them; what they hold is between a dataset and its metric."""
        return labels

    def augment(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Changes each picture's colours (`recoloured`): boxes stay right."""
        return recoloured(pixels, rng)

    def preprocess_info(self) -> dict[str, Any]:
        """See `Dataset.preprocess_info`; "resize" is the (height, width) that a picture is brought to."""
        return {**(super().preprocess_info() or {}), "resize": list(self.input_shape[2:]), "interpolation": "by_size"}

    def _picture(self, path: Path) -> tuple[NDArray[Any], tuple[int, int]]:
        """Resized pixels (3, H, W), and the width and height before."""
        prepare_gluoncv()
        from gluoncv.data.transforms.image import imresize  # takes seconds

        if not path.is_file():
            raise MRTError(f"dataset {self.name}: {path} is missing; unpack the archive again")
        try:
            picture = mx.image.imread(str(path))
        except mx.MXNetError:
            raise MRTError(f"dataset {self.name}: {path} is not a readable picture; fetch it again") from None
        height, width = self.input_shape[2:]
        pixels: NDArray[Any] = imresize(picture, width, height, interp=BY_SIZE).asnumpy().transpose(2, 0, 1)
        return np.ascontiguousarray(pixels), (picture.shape[1], picture.shape[0])
