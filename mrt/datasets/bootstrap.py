"""Metrics whose intervals come from drawing as many pictures anew, with replacement (Efron's bootstrap)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.metric import Interval, Metric

_DRAWS = 1000
_LOW, _HIGH = 2.5, 97.5  # per cent


class Bootstrapped(Metric):
    """A metric that is no mean over samples, so that only drawing them anew tells how sure its values are."""

    @abstractmethod
    def pictures(self) -> int:
        """How many it has seen."""

    @abstractmethod
    def drawn(self, often: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Each value (draws,), with every picture counted as often as in that row of (draws, pictures)."""

    def intervals(self) -> dict[str, Interval]:
        """See `Metric.intervals`."""
        return {name: _interval(values) for name, values in self.drawn(_often(self.pictures())).items()}

    def losses(self, reference: Metric) -> dict[str, Interval]:
        """See `Metric.losses`: of each draw, both judge the same pictures."""
        if not isinstance(reference, Bootstrapped) or reference.pictures() != self.pictures():
            return {}
        often = _often(self.pictures())
        before, after = reference.drawn(often), self.drawn(often)
        return {name: _interval(before[name] - values) for name, values in after.items()}


def _often(pictures: int) -> NDArray[Any]:
    return np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), _DRAWS)


def _interval(values: NDArray[Any]) -> Interval:
    return float(np.nanpercentile(values, _LOW)), float(np.nanpercentile(values, _HIGH))
