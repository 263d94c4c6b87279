"""Datasets and metrics that users write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import Preprocess
from mrt.datasets.code import blamed, named
from mrt.datasets.metric import Metric
from mrt.datasets.ready import Ready
from mrt.errors import MRTError
from mrt.graph.batch import InputShape

logger = logging.getLogger(__name__)


class Own(Ready):
    """A class or function of the user's, called with the split's name (and the folder, where one is given).

    What it returns has `len()`, and for each index a pair (data, label): data an array of one sample without the batch
    axis, or a dict of them by the inputs' names; label a number, an array, or None. It may have `metric()`, which makes
    what `OwnMetric` takes, and `class_names`.

    Args:
        place: as `mrt.datasets.code.named` takes it.
        root: the folder that the configuration gives, or None.
        input_shape: as for any dataset.
        preprocess: as for any dataset.
    """

    name = "own"

    def __init__(
        self, place: str, root: Path | None, input_shape: InputShape, preprocess: Preprocess | None = None
    ) -> None:
        self.name = place
        self._make = named("dataset", place)
        self._arguments = () if root is None else (root,)
        self._splits: dict[str, Any] = {}
        super().__init__(root, input_shape, preprocess)

    def _open(self) -> None:
        names = getattr(self._split("calibration"), "class_names", None)
        self.labels = None if names is None else [str(name) for name in names]

    def size(self, split: str) -> int:
        """See `Dataset.size`."""
        with blamed(f"dataset {self.name}: len() of split {split}"):
            return len(self._split(split))

    def read(self, split: str, indices: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """See `Ready`; labels are -1 where there are none."""
        samples = [self._sample(split, int(index)) for index in indices]
        feed = {
            name: self._stacked(name, [data[name] for data, _ in samples], shape.index(-1))
            for name, shape in self.inputs.items()
        }
        labels = [-1 if label is None else label for _, label in samples]
        return feed, self._stacked("y", [np.asarray(label) for label in labels], 0)

    def metric(self) -> Metric:
        """See `Dataset.metric`: the user's own, where there is one."""
        make = getattr(self._split("evaluation"), "metric", None)
        return OwnMetric(f"metric() of {self.name}", make) if make else super().metric()

    def where(self, name: str) -> str:
        """See `Ready.where`."""
        return "the label" if name == "y" else f"input {name}"

    def _split(self, split: str) -> Any:
        self._require_split(split)
        if split not in self._splits:
            with blamed(f"dataset {self.name}: split {split}"):
                self._splits[split] = self._make(split, *self._arguments)
            if split == "evaluation" and self.size(split):
                self._look_at_evaluation()
        return self._splits[split]

    def _look_at_evaluation(self) -> None:
        """Find out whether it has labels, and warn where it begins as the calibration data does."""
        data, label = self._sample("evaluation", 0)
        self.labelled = label is not None
        if self.size("calibration"):
            other, _ = self._sample("calibration", 0)
            if all(np.array_equal(data[name], other[name]) for name in self.inputs):
                logger.warning(
                    "dataset %s: calibration and evaluation begin with the same sample; is it evaluated on what "
                    "it was calibrated on?",
                    self.name,
                )

    def _sample(self, split: str, index: int) -> tuple[Mapping[str, NDArray[Any]], Any]:
        what = f"dataset {self.name}: sample {index} of split {split}"
        with blamed(what):
            sample = self._split(split)[index]
        if not isinstance(sample, Sequence) or len(sample) != 2:
            raise MRTError(f"{what} is no pair (data, label)")
        data, label = sample
        if not isinstance(data, Mapping):
            if len(self.inputs) > 1:
                raise MRTError(f"{what}: data must be a dict of {', '.join(self.inputs)}, the network's inputs")
            data = {next(iter(self.inputs)): data}
        missing = [name for name in self.inputs if name not in data]
        if missing and len(self.inputs) == len(data) == 1:
            data, missing = dict(zip(self.inputs, data.values())), []
        if missing:
            raise MRTError(f"{what} has no {missing[0]}, which the network reads; it has {', '.join(map(str, data))}")
        with blamed(what):
            return {name: _array(data[name]) for name in self.inputs}, None if label is None else _array(label)

    def _stacked(self, name: str, arrays: list[NDArray[Any]], axis: int) -> NDArray[Any]:
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise MRTError(f"dataset {self.name}: {self.where(name)} has different shapes: {sorted(shapes)}; pad them")
        return np.stack(arrays, axis)


def _array(value: Any) -> NDArray[Any]:
    """A NumPy array of what may be one of MXNet's."""
    return np.asarray(value.asnumpy() if hasattr(value, "asnumpy") else value)


class OwnMetric(Metric):
    """A metric of the user's: `update(labels, outputs)`, with a list of all outputs, and `values()`, a dict of floats.

    Args:
        place: what messages call it.
        make: makes a fresh one.
    """

    percent = False

    def __init__(self, place: str, make: Callable[[], Any]) -> None:
        self._place = place
        with blamed(place):
            self._own = make()
        missing = [name for name in ("update", "values") if not hasattr(self._own, name)]
        if missing:
            raise MRTError(f"{place}: a metric has update(labels, outputs) and values(); this has no {missing[0]}")
        self.percent = bool(getattr(self._own, "percent", False))

    def select(self, outputs: Sequence[NDArray[Any]]) -> Any:
        """All of them."""
        return list(outputs)

    def misfit(self, labels: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> str | None:
        """See `Metric.misfit`: what it says when it is tried."""
        try:
            self.update(labels, self.select(outputs))
            self.values()
        except MRTError as error:
            return str(error)
        return None

    def update(self, labels: NDArray[Any], outputs: Any) -> None:
        """See `Metric.update`."""
        with blamed(self._place):
            self._own.update(labels, outputs)

    def values(self) -> dict[str, float]:
        """See `Metric.values`."""
        with blamed(self._place):
            return {str(name): float(value) for name, value in self._own.values().items()}


def own_metric(place: str) -> Callable[[], Metric]:
    """What makes the metric that a place such as `my_module:MyMetric` names.

    Raises:
        MRTError: there is none.
    """
    make = named("metric", place)
    return lambda: OwnMetric(f"metric {place}", make)
