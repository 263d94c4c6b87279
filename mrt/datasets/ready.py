"""What datasets share that bring any inputs of any shape, as the network reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Dataset, Preprocess
from mrt.errors import MRTError
from mrt.integer.pixels import Pixels


class Ready(Dataset):
    """Arrays as the network reads them: floats become float32, and integers stay as they are.

    Where a network of one input has a mean, std or scale given, the arrays are stored pixels (N, C, …) instead, which
    are normalised as any dataset's. `read` gives an array for each input by its name, samples where its shape has -1.
    """

    default = Preprocess(mean=(0.0,), std=(1.0,), scale=1.0)
    several_inputs = True

    def _check_shape(self) -> None:
        """Any will do."""

    def _complete(self, given: Preprocess) -> Preprocess:
        self._raw = any(value is not None for value in (given.mean, given.std, given.scale))
        if given.crop is not None:
            raise MRTError(f"dataset {self.name}: Crop given, but its arrays are used whole; leave it out")
        if not self._raw:
            return Preprocess(self.default.mean, self.default.std, self.default.scale, given.label_offset)
        if len(self.inputs) > 1 or len(self.input_shape) < 2 or self.input_shape[0] != -1:
            raise MRTError(
                f"dataset {self.name}: Mean, Std and Scale are for one input of shape -1,channels,…; leave them out"
            )
        return super()._complete(given)

    def normalise(self, pixels: dict[str, NDArray[Any]]) -> Any:  # type: ignore[override]
        """See `Dataset.normalise`; one array where there is one input, else one for each by its name."""
        ready = {name: self._ready(name, array) for name, array in pixels.items()}
        return ready if len(self.inputs) > 1 else next(iter(ready.values()))

    def _ready(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        wanted = self.inputs[name]
        if len(array.shape) != len(wanted) or any(w not in (-1, have) for w, have in zip(wanted, array.shape)):
            shapes = [",".join(map(str, shape)) for shape in (array.shape, wanted)]
            raise MRTError(f"dataset {self.name}: {self.where(name)} has the shape {shapes[0]}; it must be {shapes[1]}")
        if array.dtype.kind not in "fiub":
            raise MRTError(f"dataset {self.name}: {self.where(name)} holds {array.dtype}, no numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise MRTError(f"dataset {self.name}: {self.where(name)} has values that are not finite")
        if self._raw:
            return super().normalise(array)
        return np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)

    @property
    def pixels(self) -> dict[str, Pixels]:
        """See `Dataset.pixels`: only where arrays are said to be stored pixels."""
        if not self._raw:
            return {}
        stored: Any = self.read("calibration", np.arange(1))[0]
        return self._pixels_of(next(iter(stored.values())))

    def where(self, name: str) -> str:
        """What a message calls the array of an input."""
        return f"input {name}"

    def model_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """See `Dataset.model_labels`; what is no whole number stays as it is.

        Raises:
            MRTError: one is not a number.
        """
        if labels.dtype.kind == "f":
            if not np.isfinite(labels).all():
                raise MRTError(f"dataset {self.name}: {self.where('y')} has labels that are not finite (NaN)")
            if (labels != np.rint(labels)).any():
                return labels
        if labels.dtype.kind not in "fiub":
            raise MRTError(f"dataset {self.name}: {self.where('y')} holds {labels.dtype}, no numbers")
        return super().model_labels(labels) if self.labelled else labels.astype(np.int64)

    def preprocess_info(self) -> dict[str, Any] | None:
        """See `Dataset.preprocess_info`."""
        return super().preprocess_info() if self._raw else None
