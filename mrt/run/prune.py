"""The stage of [PRUNING]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from mrt.compress.choose import Chooser, Goal
from mrt.compress.criteria import scores
from mrt.compress.groups import ChannelGroups, Group
from mrt.compress.measure import Cost, CostOfPruned
from mrt.compress.prune import prune
from mrt.compress.sensitivity import curves
from mrt.config.compression import Pruning
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph
from mrt.report import Progress
from mrt.run.compress import Measurer
from mrt.run.finetune import Trainer
from mrt.run.products import COMPRESSION, NETWORK
from mrt.run.seeded import fit_batch_norm
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.train import judge
from mrt.train.resume import digest

_VERIFIED = 2
_FITTED = 256  # pictures that BatchNorm statistics are measured on after pruning
_ITERATIVE = 0.93  # what a step of the iterative schedule leaves


class Prune(Stage):
    """Pruning, by the method, strategy and schedule of [PRUNING]."""

    takes = (NETWORK, COMPRESSION)
    gives = (NETWORK, COMPRESSION)

    def __init__(
        self, settings: Pruning, trainer: Trainer, measure: Measurer, checkpoint: Checkpoint | None, cache: Path
    ) -> None:
        """`cache` is the file that keeps measured sensitivities."""
        self._settings, self._trainer, self._measure = settings, trainer, measure
        self.checkpoint, self._cache = checkpoint, cache

    def run(self, have: Products, progress: Progress) -> Made:
        """The pruned network."""
        settings, network = self._settings, have[NETWORK]
        if settings.sparsity:
            network = self._trainer(network, "sparsity", progress, settings.sparsity_epochs, settings.sparsity)
        target = self._target(_cost_now(ChannelGroups(network)))
        shares = self._shares(target.kept)
        left: list[Group] = []
        for number, share in enumerate(shares, 1):
            groups = ChannelGroups(network)
            chooser, left = self._chooser(groups)
            with progress.stage("prune", total=len(chooser.prunable) * 9) as step:
                units = self._units(groups, chooser, Goal(target.kind, share, target.whole), step.advance)
                network = prune(groups, units, self._pictures(_VERIFIED))
                network = fit_batch_norm(network, self._pictures(_FITTED))
            if number < len(shares):
                network = self._trainer(network, f"pruning{number}", progress, settings.step_epochs)
        notes = "; ".join(f"{group.name} is not pruned: {self._reason(group)}" for group in left) or None
        return {NETWORK: network, COMPRESSION: [*have[COMPRESSION], self._measure("pruning", network, notes)]}

    def _target(self, whole: Cost) -> Goal:
        settings = self._settings
        if settings.ratio is not None:
            return Goal("channels", 1 - settings.ratio, whole)
        kind, kept = ("macs", settings.macs) if settings.macs is not None else ("size", settings.size)
        return Goal(kind, float(kept or 0), whole)

    def _shares(self, kept: float) -> list[float]:
        """What is left of the whole after each step."""
        count = 1
        if self._settings.schedule == "stepwise":
            count = self._settings.steps
        if self._settings.schedule == "iterative":
            count = math.ceil(math.log(kept) / math.log(_ITERATIVE))
        return [kept ** (number / count) for number in range(1, count + 1)]

    def _chooser(self, groups: ChannelGroups) -> tuple[Chooser, list[Group]]:
        """What chooses, and the groups that are left alone though nobody asked for it."""
        settings = self._settings
        names = [layer.name for group in groups.groups for layer in group.layers]
        for pattern in settings.keep:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise MRTError(f"the network has no layer {pattern}", switch="pruning.keep")
        kept = [
            group
            for group in groups.groups
            if any(fnmatchcase(layer.name, pattern) for layer in group.layers for pattern in settings.keep)
        ]
        found = scores(groups, settings.method, self._labelled, settings.seed)
        chooser = Chooser(groups, found, kept, settings.multiple)
        left = [group for group in groups.groups if group not in kept and group not in chooser.prunable]
        if not chooser.prunable:
            raise MRTError(f"{settings.method}: nothing can be pruned; {self._first(left)}", switch="pruning.method")
        return chooser, left

    def _reason(self, group: Group) -> str:
        return group.reason or f"the method {self._settings.method} says nothing of it"

    def _first(self, left: Sequence[Group]) -> str:
        return f"{left[0].name}: {self._reason(left[0])}" if left else "all groups are to be kept"

    def _units(self, groups: ChannelGroups, chooser: Chooser, target: Goal, advance: Callable[[int], None]) -> Array:
        strategy = self._settings.strategy
        if strategy == "uniform":
            return chooser.uniform(self._relative(groups, target))
        if strategy == "global":
            return chooser.everywhere(target)
        dataset = self._trainer.dataset
        count = min(self._settings.pictures, dataset.size("train") // 2)

        def accuracy(network: Graph) -> float:
            first = dataset.size("train") - count
            return next(iter(judge(Executor(network), dataset, min(count, 256), "train", first, count).values()))

        origin = f"{digest(groups.graph.params)} {self._settings.method} {self._settings.multiple} {count}"
        return chooser.by_sensitivity(target, curves(groups, chooser, accuracy, self._cache, origin, advance))

    def _relative(self, groups: ChannelGroups, target: Goal) -> Goal:
        """Of channels, uniform takes a ratio of what there is now."""
        if target.kind != "channels":
            return target
        now = _cost_now(groups)
        return Goal(target.kind, target.kept * target.whole.channels / max(now.channels, 1), now)

    def _pictures(self, count: int) -> Array:
        dataset = self._trainer.dataset
        (batch, _), *_ = dataset.batches("train", count, 0, min(count, dataset.size("train")))
        found: Array = batch
        return found

    def _labelled(self) -> list[tuple[Array, Array]]:
        dataset = self._trainer.dataset
        return list(dataset.batches("train", 64, 0, min(self._settings.pictures, dataset.size("train"))))


def _cost_now(groups: ChannelGroups) -> Cost:
    return CostOfPruned(groups)(np.zeros(groups.unit_count, bool))
