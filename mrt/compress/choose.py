"""Which units go: the lowest scores, as many of each group as a strategy says, until a target is met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np

from mrt.compress.groups import ChannelGroups, Group
from mrt.compress.measure import Cost, CostOfPruned
from mrt.errors import MRTError, Remedy
from mrt.graph import Array

_HALVINGS = 30
_ROUNDED_FROM = 4  # multiples: smaller groups keep any number of channels

Curve = Sequence[float]
"""What accuracy a group loses, as a part, at the ratios `RATIOS`."""
RATIOS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))


@dataclass(frozen=True)
class Goal:
    """What is to be left: `kept` of the `kind` ("channels", "macs" or "size") that `whole` has."""

    kind: str
    kept: float
    whole: Cost

    def met(self, cost: Cost) -> bool:
        """Whether no more is left."""
        return self._of(cost) <= self.kept * self._of(self.whole)

    def _of(self, cost: Cost) -> int:
        return {"channels": cost.channels, "macs": cost.macs, "size": cost.size}[self.kind]


class Chooser:
    """Chooses units of a network.

    Args:
        groups: of the network.
        scores: by unit; groups with a score that is not a number are left alone.
        kept: groups never to be pruned.
        multiple: kept channels of a group are rounded to it, where the group has four times as many.
    """

    def __init__(self, groups: ChannelGroups, scores: Array, kept: Sequence[Group] = (), multiple: int = 1) -> None:
        self.prunable = [
            group
            for group in groups.groups
            if len(group.units) and group not in kept and np.isfinite(scores[group.units]).all()
        ]
        self._groups, self._scores, self._multiple = groups, scores, multiple
        self._cost = CostOfPruned(groups)

    def uniform(self, target: Goal) -> Array:
        """The same ratio of every group."""
        if target.kind == "channels":
            for group in self.prunable:
                self._require(group, 1 - target.kept)
            return self._chosen(dict.fromkeys(self.prunable, 1 - target.kept))
        return self._met(target, lambda level: self._chosen(dict.fromkeys(self.prunable, level)))

    def everywhere(self, target: Goal) -> Array:
        """The lowest scores of all groups; each keeps a tenth at least."""
        units = np.concatenate([np.zeros(0, int), *(group.units for group in self.prunable)])
        ranked = units[np.argsort(self._scores[units], kind="stable")]

        def at(level: float) -> Array:
            lowest = np.zeros(len(self._scores), bool)
            lowest[ranked[: round(level * len(ranked))]] = True
            return self._chosen({group: min(float(lowest[group.units].mean()), 0.9) for group in self.prunable})

        return self._met(target, at)

    def by_sensitivity(self, target: Goal, curves: Mapping[str, Curve]) -> Array:
        """Of every group the ratio at which it loses one common part of the accuracy."""

        def at(level: float) -> Array:
            return self._chosen({group: ratio_at(curves[group.name], level) for group in self.prunable})

        return self._met(target, at)

    def single(self, group: Group, ratio: float) -> Array:
        """The units of one group that a ratio of it takes."""
        return self._chosen({group: ratio})

    def _chosen(self, ratios: Mapping[Group, float]) -> Array:
        parts = [np.zeros(0, int)]
        for group, ratio in ratios.items():
            order = group.units[np.argsort(self._scores[group.units], kind="stable")]
            parts.append(order[: self._removed(group, ratio)])
        return np.concatenate(parts)

    def _removed(self, group: Group, ratio: float) -> int:
        """How many units, rounded so that the channels left are a multiple."""
        total, channels = self._total(group), len(self._groups.layers[group.layers[0]])
        step = max(1, self._multiple * total // channels)
        if total < _ROUNDED_FROM * step:
            step = 1
        left = max(step * round((1 - ratio) * total / step), step, total - len(group.units), 1)
        return max(total - left, 0)

    def _require(self, group: Group, ratio: float) -> None:
        if round((1 - ratio) * self._total(group)) < 1:
            raise MRTError(
                f"at {ratio:.3g}, nothing would be left of the {self._total(group)} channels of layer {group.name}",
                Remedy.PRUNE_LESS,
                "pruning.ratio",
            )

    def _total(self, group: Group) -> int:
        return len(np.unique(np.concatenate([self._groups.layer_units(layer) for layer in group.layers])))

    def _met(self, target: Goal, at: Callable[[float], Array]) -> Array:
        """The choice at the lowest level that meets the target."""

        def cost(units: Array) -> Cost:
            gone = np.zeros(self._groups.unit_count, bool)
            gone[units] = True
            return self._cost(gone)

        if not target.met(cost(at(1.0))):
            raise MRTError(
                f"more than {target.kept:.3g} is left even when all that can be pruned is pruned as far as it can be",
                Remedy.PRUNE_MORE,
                f"pruning.{target.kind}",
            )
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if target.met(cost(at(middle))) else (middle, high)
        return at(high)


def ratio_at(curve: Curve, level: float) -> float:
    """The largest ratio at which a group loses no more than `level`, up to the last of `RATIOS`."""
    losses = np.maximum.accumulate(np.concatenate([[0.0], np.asarray(curve, float)]))
    ratios = np.concatenate([[0.0], RATIOS])
    if level >= losses[-1]:
        return float(ratios[-1])
    after = int(np.searchsorted(losses, level, side="right"))
    before = after - 1
    part = (level - losses[before]) / max(losses[after] - losses[before], 1e-12)
    return float(ratios[before] + part * (ratios[after] - ratios[before]))
