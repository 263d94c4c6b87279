"""The training loop: whatever is trained, and whatever for, it is trained here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from numpy.typing import NDArray

from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.graph.batch import Feed
from mrt.train.learner import Learner
from mrt.train.resume import Standing, TrainingCheckpoint
from mrt.train.settings import FitSettings

Objective = Callable[[Feed, NDArray[Any]], Any]
"""A batch's pictures and labels, as the dataset gives them, to the loss of each picture."""


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch: its number from 1, the mean training loss, the seconds since the start."""

    number: int
    epochs: int
    loss: float
    seconds: float


def cross_entropy(learner: Learner) -> Objective:
    """Softmax cross-entropy of the first output's classes, axis 1; in masks, labels below 0 do not count."""
    criterion = gluon.loss.SoftmaxCrossEntropyLoss(axis=1)

    def objective(pictures: Feed, labels: NDArray[Any]) -> Any:
        truth = mx.nd.array(labels)
        return criterion(learner(pictures)[0], truth, (truth >= 0).expand_dims(1))

    return objective


def fit(
    learner: Learner,
    objective: Objective,
    settings: FitSettings,
    dataset: Dataset,
    checkpoint: TrainingCheckpoint | None = None,
    progress: Callable[[Epoch], None] | None = None,
    count: int | None = None,
    section: str = "train",
) -> float:
    """Train in place; the same settings give the same weights on the same machine, interrupted or not.

    Args:
        learner: what is trained.
        objective: the loss, of the learner's outputs.
        settings: how.
        dataset: its "train" split.
        checkpoint: written after every epoch, resumed where it is there, dropped by whoever keeps the result.
        progress: called after each epoch; once, for the last one done, on resuming.
        count: train on the first `count` pictures of the split; None: on all.
        section: whose switches the settings are, named in errors.

    Returns:
        The mean loss of the last epoch.

    Raises:
        MRTError: the split is smaller than a batch, the training diverges, or the checkpoint is of another one.
    """
    started = time.monotonic()
    count = dataset.size("train") if count is None else count
    steps = count // settings.batch
    if steps == 0:
        few = f"{settings.batch}: dataset {dataset.name} has only {count} training pictures"
        raise MRTError(few, switch=f"{section}.batch")
    rng = np.random.default_rng(settings.seed)
    standing = checkpoint.load() if checkpoint else None
    moments: dict[str, list[NDArray[Any]]] = {}
    done, loss = 0, 0.0
    if standing is not None:
        done, loss = standing.epochs, standing.loss
        _restore(learner.state, standing.state)
        rng.bit_generator.state = standing.order
        moments = dict(standing.moments)
        if progress is not None:
            progress(Epoch(done, settings.epochs, loss, time.monotonic() - started))
    updates = _Updates(learner.learned, settings.make_optimizer(steps, done * steps), moments)
    for number in range(done + 1, settings.epochs + 1):
        mx.random.seed(settings.seed + number)  # of dropout
        total = 0.0
        for index, (pictures, labels) in enumerate(_epoch(settings, dataset, count, steps, rng)):
            with autograd.record():
                losses = objective(pictures, labels)
            losses.backward()
            updates.step()
            value = float(losses.mean().asscalar())  # MXNet runs ahead otherwise, and holds every batch in memory
            if not np.isfinite(value):
                raise MRTError(
                    f"at {settings.learning_rate}, the loss is {value} in epoch {number}, batch {index + 1} of "
                    f"{steps}; lower it",
                    switch=f"{section}.learning_rate",
                )
            total += value
        loss = total / steps
        if checkpoint is not None:
            state = {name: array.asnumpy() for name, array in learner.state.items()}
            checkpoint.save(Standing(number, loss, state, updates.moments(), rng.bit_generator.state))
        if progress is not None:
            progress(Epoch(number, settings.epochs, loss, time.monotonic() - started))
    return loss


def _restore(arrays: Mapping[str, Any], kept: Mapping[str, NDArray[Any]]) -> None:
    if {name: tuple(array.shape) for name, array in arrays.items()} != {n: a.shape for n, a in kept.items()}:
        raise MRTError("the training checkpoint holds another network's weights; delete it to start anew")
    for name, array in arrays.items():
        mx.nd.array(kept[name], dtype=kept[name].dtype).copyto(array)  # which may be in a layout of oneDNN


class _Updates:
    """An optimizer with what it keeps of each array."""

    def __init__(self, learned: Mapping[str, Any], optimizer: Any, moments: Mapping[str, list[NDArray[Any]]]) -> None:
        self._learned = learned
        self._optimizer = optimizer
        self._kept = [optimizer.create_state(index, array) for index, array in enumerate(learned.values())]
        for name, kept in zip(learned, self._kept):
            for array, value in zip(_as_list(kept), moments.get(name, ())):
                array[:] = value

    def step(self) -> None:
        for index, (array, kept) in enumerate(zip(self._learned.values(), self._kept)):
            self._optimizer.update(index, array, array.grad, kept)

    def moments(self) -> dict[str, list[NDArray[Any]]]:
        return {name: [a.asnumpy() for a in _as_list(kept)] for name, kept in zip(self._learned, self._kept)}


def _as_list(kept: Any) -> list[Any]:
    if kept is None:
        return []
    return list(kept) if isinstance(kept, (list, tuple)) else [kept]


def _epoch(
    settings: FitSettings, dataset: Dataset, count: int, steps: int, rng: np.random.Generator
) -> Iterator[tuple[Feed, NDArray[Any]]]:
    order = rng.permutation(count)[: steps * settings.batch]
    for indices in order.reshape(steps, settings.batch):
        pixels, labels = dataset.read("train", indices)
        if settings.augment:
            pixels = dataset.augment(pixels, rng)
        yield dataset.normalise(pixels), dataset.model_labels(labels)
