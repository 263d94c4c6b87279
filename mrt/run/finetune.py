"""The stage of [FINETUNE], and the trainer that pruning has, too."""

from __future__ import annotations

from pathlib import Path

from mrt import ops
from mrt.compress.distill import Distilled
from mrt.config.compression import Distillation, Finetune
from mrt.datasets import Dataset
from mrt.graph import Array, Graph
from mrt.graph.batch import Feed
from mrt.report import Progress
from mrt.run.compress import Measurer
from mrt.run.products import COMPRESSION, NETWORK
from mrt.run.source import network_at
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.run.teach import settings_of
from mrt.run.training_data import Training
from mrt.train import FitSettings, GraphLearner, Objective, TrainingCheckpoint, cross_entropy, fit
from mrt.train.resume import digest

_EXCEPT = {"dataset", "dataset_dir", "dump"}


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
