"""The stages that compress the float network, each giving it anew: pruning and fine-tuning."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from mrt import ops
from mrt.compress.choose import Chooser, Goal
from mrt.compress.criteria import scores
from mrt.compress.distill import Distilled
from mrt.compress.groups import ChannelGroups, Group
from mrt.compress.measure import Cost, CostOfPruned, cost
from mrt.compress.prune import prune
from mrt.compress.sensitivity import curves
from mrt.config import Start
from mrt.config.compression import Distillation, Finetune, Pruning
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph
from mrt.graph.batch import Feed
from mrt.recipe import Recipe
from mrt.report import Progress
from mrt.report.compression import CompressionStep
from mrt.run.products import COMPRESSION, NETWORK
from mrt.run.source import network_at
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.run.structural import fit_batch_norm
from mrt.run.teach import settings_of
from mrt.run.training import Training
from mrt.train import FitSettings, GraphLearner, Objective, TrainingCheckpoint, cross_entropy, fit, judge
from mrt.train.resume import digest

logger = logging.getLogger(__name__)

_VERIFIED = 2
_FITTED = 256  # pictures that BatchNorm statistics are measured on after pruning
_ITERATIVE = 0.93  # what a step of the iterative schedule leaves
_EXCEPT = {"dataset", "dataset_dir", "dump"}


class Measurer:
    """Says what a network costs and achieves."""

    def __init__(self, training: Training) -> None:
        """`training` says on what accuracy is measured."""
        self._training = training

    def __call__(self, name: str, network: Graph, notes: str | None = None) -> CompressionStep:
        """What the report says of the network after a step."""
        found, judged = cost(network), self._training.judged()
        accuracy: dict[str, float] = {}
        if judged is not None:
            dataset, start, count, batch = judged
            accuracy = judge(Executor(network), dataset, batch, "evaluation", start, count)
        return CompressionStep(
            name=name,
            accuracy=accuracy,
            macs=found.macs,
            parameters=found.parameters,
            size_bytes=found.size,
            notes=notes,
        )


class Begin(Stage):
    """The first row of what compression is compared with."""

    takes = (NETWORK,)
    gives = (COMPRESSION,)

    def __init__(self, measure: Measurer, skipped: bool) -> None:
        """`skipped` where nothing is compressed."""
        self._measure, self._skipped = measure, skipped

    def run(self, have: Products, progress: Progress) -> Made:
        """The network as loaded."""
        if self._skipped:
            return {COMPRESSION: []}
        with progress.stage("measure"):
            return {COMPRESSION: [self._measure("as loaded", have[NETWORK])]}


class Trainer:
    """Trains a network as [FINETUNE] and [DISTILLATION] say."""

    def __init__(self, settings: Finetune, distillation: Distillation | None, training: Training) -> None:
        """`training` has the pictures, and keeps what goes on from an interruption."""
        self.settings = settings
        self._distillation, self._training = distillation, training
        self._left: list[TrainingCheckpoint] = []

    @property
    def dataset(self) -> Dataset:
        """What is trained on."""
        return self._training.of(self.settings)

    def __call__(
        self, network: Graph, name: str, progress: Progress, epochs: int | None = None, sparsity: float = 0.0
    ) -> Graph:
        """The trained network; `name` tells the training from others of this run."""
        options = self.settings.model_dump(exclude=_EXCEPT)
        settings = FitSettings(**{**options, "epochs": epochs or self.settings.epochs})
        learner, objective = self._objective(network, sparsity)
        origin = {f"[FINETUNE] {key.capitalize()}": str(value) for key, value in vars(settings).items()}
        origin["[FINETUNE] Dataset"] = f"{self.dataset.name} {self.dataset.preprocess}"
        origin["[DISTILLATION]"] = str(self._distillation)
        origin["[PRUNING] Sparsity"] = str(sparsity)
        origin["the network's weights"] = digest(network.params)
        path = self._training.folder / f"{self._training.name}.{name}.train.npz"
        checkpoint = TrainingCheckpoint(path, origin)
        with progress.stage(name, total=settings.epochs) as step:

            def show(number: int) -> None:
                step.advance(number - step.done)

            fit(
                learner,
                objective,
                settings,
                self.dataset,
                checkpoint,
                lambda epoch: show(epoch.number),
                section="finetune",
            )
        self._left.append(checkpoint)
        return learner.graph

    def drop(self) -> None:
        """What was trained is kept elsewhere."""
        for checkpoint in self._left:
            checkpoint.drop()

    def _objective(self, network: Graph, sparsity: float) -> tuple[GraphLearner, Objective]:
        settings = self._distillation
        if settings is not None:
            teacher = network_at(Path(settings.teacher), self._training.inputs)
            distilled = Distilled(network, teacher, settings_of(settings))
            learner, objective = distilled.learner, distilled.objective
        else:
            learner = GraphLearner(network)
            objective = cross_entropy(learner)
        if not sparsity:
            return learner, objective
        scales = [learner.learned[name] for name in batch_norm_scales(network) if name in learner.learned]

        def sparse(pictures: Feed, labels: Array) -> object:
            return objective(pictures, labels) + sparsity * sum(scale.abs().sum() for scale in scales)

        return learner, sparse


def batch_norm_scales(network: Graph) -> list[str]:
    """The names of the parameters that scale BatchNorms' outputs."""
    return [node.inputs[1].node.name for node in network.nodes() if ops.of(node).normalizes]


class Tune(Stage):
    """Fine-tuning."""

    takes = (NETWORK, COMPRESSION)
    gives = (NETWORK, COMPRESSION)

    def __init__(self, trainer: Trainer, measure: Measurer, checkpoint: Checkpoint | None) -> None:
        """`trainer` knows how."""
        self._trainer, self._measure, self.checkpoint = trainer, measure, checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The tuned network."""
        network = self._trainer(have[NETWORK], "finetune", progress)
        return {NETWORK: network, COMPRESSION: [*have[COMPRESSION], self._measure("finetune", network)]}


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


def compressing_stages(
    recipe: Recipe, training: Training, checkpoint: Callable[[Start, Callable[[], None]], Checkpoint | None]
) -> list[Stage]:
    """The stages that a recipe asks for, in the order in which its sections stand.

    `checkpoint(start, saved)` makes one, which calls `saved` after it is written.
    """
    measure = Measurer(training)
    stages: list[Stage] = [Begin(measure, skipped=not recipe.compressing)]
    for start in recipe.compressing:
        settings = recipe.finetune or training.otherwise
        trainer = Trainer(settings, recipe.distillation, training)
        kept = checkpoint(start, trainer.drop)
        if start is Start.PRUNING and recipe.pruning is not None:
            cache = training.folder / f"{training.name}.pruning.sensitivity.json"
            stages.append(Prune(recipe.pruning, trainer, measure, kept, cache))
        elif start is Start.FINETUNE:
            stages.append(Tune(trainer, measure, kept))
    return stages


def _cost_now(groups: ChannelGroups) -> Cost:
    return CostOfPruned(groups)(np.zeros(groups.unit_count, bool))
