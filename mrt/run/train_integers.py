"""Trains an integer network on a dataset's training pictures, and keeps the best on those that are held out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cvm.certificate import certify
from cvm.package import save_package

from mrt.compress.integer_training import IntegerLearner
from mrt.compress.trainable import Constants
from mrt.config.compression import FitIntegers
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.quantizer.quantize import Quantized
from mrt.report import Progress
from mrt.run.batching import Run
from mrt.run.evaluation import native_run
from mrt.run.training_data import Training
from mrt.targets.cvm.compiler import compile_model
from mrt.train import Epoch, FitSettings, TrainingCheckpoint, cross_entropy, fit, judge
from mrt.train.resume import digest

_BATCH = 100


@dataclass(frozen=True)
class Trained:
    """A trained integer network, and its accuracy on the held-out pictures: at the start, at its best, by epoch."""

    quantized: Quantized
    before: float
    after: float
    epochs: tuple[float, ...]
    checkpoint: TrainingCheckpoint


class IntegerTrainer:
    """Trains integer networks as a section says."""

    def __init__(self, section: FitIntegers, training: Training) -> None:
        """`training` has the pictures, and keeps what goes on from an interruption."""
        self._section, self._training = section, training

    def __call__(self, quantized: Quantized, layers: Sequence[Constants], name: str, progress: Progress) -> Trained:
        """The network whose accuracy on the held-out pictures is best, that at the start included.

        `name` tells the training from others of this run. Its checkpoint is to be dropped when the result is kept.

        Raises:
            MRTError: too few pictures are left to train on, or no layer can be trained.
        """
        section, title = self._section, type(self._section).__name__.lower()
        dataset = self._training.of(section)
        count = dataset.size("train") - section.held_out
        if count < section.batch:
            raise MRTError(
                f"{section.held_out}: of {dataset.size('train')} training pictures {max(count, 0)} are left to train "
                "on; lower it",
                switch=f"{title}.held_out",
            )
        learner = IntegerLearner(quantized, list(layers), title)
        before = self.accuracy(learner.network())
        learner.keep_if_best(before)
        found: list[float] = []
        origin = {f"[{title.upper()}] {key.capitalize()}": str(value) for key, value in section.model_dump().items()}
        origin["the integer network"] = digest(quantized.graph.params)
        checkpoint = TrainingCheckpoint(self._training.folder / f"{self._training.name}.{name}.train.npz", origin)
        with progress.stage(name, total=max(section.epochs, 1)) as step:

            def judged(epoch: Epoch) -> None:
                found.append(self.accuracy(learner.network()))
                learner.keep_if_best(found[-1])
                step.advance(epoch.number - step.done)

            if section.epochs:
                settings = FitSettings(**section.model_dump(include=set(FitSettings.__annotations__)))
                fit(learner, cross_entropy(learner), settings, dataset, checkpoint, judged, count, title)
        best = learner.network(best=True)
        return Trained(best, before, self.accuracy(best), tuple(found), checkpoint)

    def accuracy(self, quantized: Quantized) -> float:
        """Of the compiled model on the held-out pictures; below all others where it could overflow."""
        dataset, count = self._training.of(self._section), self._section.held_out
        with _compiled(quantized) as run:
            if run is None:
                return -1.0

            def real(pictures: object) -> object:
                return quantized.real(run(quantized.integers(pictures)))  # type: ignore[arg-type]

            scores = judge(real, dataset, _BATCH, "train", dataset.size("train") - count, count)  # type: ignore[arg-type]
            return next(iter(scores.values()))


@contextmanager
def _compiled(quantized: Quantized) -> Iterator[Run | None]:
    """The compiled model, run natively where that is built; None where it could overflow."""
    model = compile_model(quantized, 1)
    if not certify(model).ok:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        save_package(folder, model, {})
        yield native_run(Path(folder)) or Executor(quantized.graph, dtype="float64")
