"""How near a network's outputs are to those of the float network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mrt.datasets.metric import holds_classes
from mrt.datasets.segmentation_metric import MIOU, MeanIoU, classes_of
from mrt.graph import Array

_PIXELS_AXES, _CLASSES_AXES = 4, 2  # of scores


class Agreement:
    """Compares real outputs with the float network's, batch after batch.

    Attributes:
        samples: compared so far.
        per_pixel: whether `share` counts pixels: the first output is (N, C, H, W), not (N, C), or classes (N, H, W).
        largest: the largest magnitude among the float network's outputs; infinite of classes.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.per_pixel = False
        self.largest = 0.0
        self._same, self._places, self._classes = 0, 0, True
        self._maps = MeanIoU()
        self._signal: list[float] = []
        self._noise: list[float] = []

    def add(self, samples: int, references: Sequence[Array], others: Sequence[Array]) -> None:
        """Compare the outputs for a batch of `samples`."""
        first = references[0]
        self.samples += samples
        axes = first.ndim + holds_classes(first)
        several = holds_classes(first) or (axes in (_CLASSES_AXES, _PIXELS_AXES) and first.shape[1] > 1)
        self._classes &= several and len(first) == samples
        if self._classes:
            self.per_pixel = axes == _PIXELS_AXES
            one, other = classes_of(first), classes_of(others[0])
            self._same, self._places = self._same + int((one == other).sum()), self._places + one.size
            if self.per_pixel:
                self._maps.update(one, other)
        if holds_classes(first):
            self.largest = math.inf
            return
        self.largest = max([self.largest, *(float(np.abs(array).max(initial=0)) for array in references)])
        self._signal = _added(self._signal, [_power(array) for array in references])
        self._noise = _added(self._noise, [_power(b.astype(np.float64) - a) for a, b in zip(references, others)])

    @property
    def share(self) -> float | None:
        """The part of the samples, or pixels, with the same top-1 class; None where the output is no class scores."""
        return self._same / self._places if self._classes and self._places else None

    @property
    def map_iou(self) -> float | None:
        """Mean intersection over union of the maps of classes with the float network's; None where there are none."""
        return self._maps.values()[MIOU] if self._classes and self.per_pixel else None

    def noise_ratios(self) -> list[float | None]:
        """Of each output, sum (float - other)^2 / sum float^2; None where there was no signal. Classes have none."""
        return [noise / signal if signal else None for signal, noise in zip(self._signal, self._noise)]

    def sqnr_db(self) -> list[float | None]:
        """Of each output, in decibels; None where nothing was lost, or there was no signal."""
        return [-10 * float(np.log10(ratio)) if ratio else None for ratio in self.noise_ratios()]


def _added(total: list[float], more: list[float]) -> list[float]:
    return [a + b for a, b in zip(total or [0.0] * len(more), more)]


def _power(array: Array) -> float:
    return float(np.sum(np.square(array, dtype=np.float64)))
