"""Trains the networks that the project ships (the configuration's [TRAIN] section)."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from numpy.typing import NDArray

from mrt import nets
from mrt.atomic import atomic_write
from mrt.datasets import Dataset
from mrt.datasets.detection import Detection
from mrt.errors import MRTError

OPTIMIZERS = ("sgd", "nag", "adam")
SCHEDULES = ("cosine", "constant")

Objective = Callable[[NDArray[Any], NDArray[Any]], Any]
"""A batch's pictures and labels, as the dataset gives them, to the loss of each picture."""

_SUFFIXES = ("-0000.params", "-symbol.json")


@dataclass(frozen=True)
class TrainSettings:
    """What determines a training, besides its dataset.

    Attributes:
        network: name for `mrt.nets.get`.
        epochs: passes over the training split.
        batch: pictures per update; the pictures left over at the end of an epoch are skipped.
        optimizer: "sgd", "nag" (Nesterov) or "adam".
        learning_rate: at the start.
        momentum: for sgd and nag.
        weight_decay: L2 penalty.
        schedule: "cosine" (falls to 0 with the last update) or "constant".
        augment: shift and mirror the pictures at random, as the dataset allows.
        seed: of the initial weights, the order of the pictures and the augmentation.
    """

    network: str
    epochs: int
    batch: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    augment: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that no training can use."""
        for field, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, field)
            if value not in allowed:
                raise MRTError(f"[TRAIN] {field} {value!r}: must be one of {', '.join(allowed)}")
        for field in ("epochs", "batch", "learning_rate"):
            value = getattr(self, field)
            if value <= 0:
                raise MRTError(f"[TRAIN] {field} {value}: must be positive")


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch: its number from 1, the mean training loss, the seconds since the start."""

    number: int
    epochs: int
    loss: float
    seconds: float
    network: gluon.HybridBlock


def train(
    settings: TrainSettings,
    dataset: Dataset,
    out_prefix: Path,
    progress: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Trains a network and writes ``<out_prefix>-symbol.json`` and ``<out_prefix>-0000.params``, or neither.

    The same settings give the same weights on the same machine with the same number of threads (elsewhere, sums of
    floats may be taken in another order).

    Args:
        settings: the network and how to train it.
        dataset: trained on "train", judged on "evaluation".
        out_prefix: where to write; existing files are replaced once the training is complete.
        progress: called after each epoch.

    Returns:
        The dataset's metrics on the evaluation split, with "loss" (of the last epoch), "epochs" and "seconds".

    Raises:
        MRTError: unknown network, a training split smaller than a batch, a folder that cannot be written in, or a
            training that diverged.
    """
    started = time.monotonic()
    _make_folder(out_prefix.parent)  # better now than after the training
    steps = dataset.size("train") // settings.batch
    if steps == 0:
        raise MRTError(
            f"[TRAIN] batch {settings.batch}: dataset {dataset.name} has only {dataset.size('train')} training pictures"
        )
    network = _initial(settings, dataset)
    trainer = _trainer(settings, network, steps)
    objective = _objective(network, dataset)
    rng = np.random.default_rng(settings.seed)
    loss = 0.0
    for number in range(1, settings.epochs + 1):
        total = mx.nd.zeros(1)
        for pictures, labels in _epoch(settings, dataset, steps, rng):
            with autograd.record():
                losses = objective(pictures, labels)
            losses.backward()
            trainer.step(len(labels))
            total += losses.mean()
            total.wait_to_read()  # MXNet runs ahead otherwise, and holds every batch in memory
        loss = float(total.asscalar()) / steps
        if not np.isfinite(loss):
            raise MRTError(
                f"[TRAIN] learning_rate {settings.learning_rate}: the loss is {loss} after epoch {number}; lower it"
            )
        if progress is not None:
            progress(Epoch(number, settings.epochs, loss, time.monotonic() - started, network))
    _compile(network)  # for inference: a detector is another graph there
    scores = evaluate(network, dataset, settings.batch)
    export(network, out_prefix)
    return {**scores, "loss": loss, "epochs": settings.epochs, "seconds": time.monotonic() - started}


def evaluate(network: gluon.Block, dataset: Dataset, batch: int, split: str = "evaluation") -> dict[str, float]:
    """The dataset's metrics of a network on a whole split."""
    metric = dataset.metric()
    for pictures, labels in dataset.batches(split, batch):
        outputs = network(mx.nd.array(pictures))
        arrays = [output.asnumpy() for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
        metric.update(labels, metric.select(arrays))
    return metric.values()


def export(network: gluon.HybridBlock, out_prefix: Path) -> None:
    """Writes a network that has run as ``<out_prefix>-symbol.json`` and ``<out_prefix>-0000.params``, each whole."""
    _make_folder(out_prefix.parent)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "network"
        try:
            network.export(str(written))
            parts = {suffix: (written.parent / f"network{suffix}").read_bytes() for suffix in _SUFFIXES}
            json.loads(parts["-symbol.json"])
            mx.nd.load_frombuffer(parts["-0000.params"])  # MXNet says nothing of a disk that is full
        except (mx.MXNetError, OSError, ValueError):
            raise MRTError(f"cannot write {out_prefix}-*: the weights do not arrive whole; is the disk full?") from None
        for suffix, content in parts.items():
            atomic_write(out_prefix.with_name(out_prefix.name + suffix), content)


def _make_folder(folder: Path) -> None:
    """Makes a folder to write in, or says why that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MRTError(f"{folder}: cannot be written in: {error.strerror}; name another Model_dir") from None


def _initial(settings: TrainSettings, dataset: Dataset) -> gluon.HybridBlock:
    mx.random.seed(settings.seed)
    network = nets.get(settings.network)
    network.initialize(mx.init.Xavier())
    _compile(network)
    network(mx.nd.zeros(_one_picture(dataset)))  # deferred shapes: draws every initial weight now
    return network


def _compile(network: gluon.HybridBlock) -> None:
    """Has the network's graph made anew when it runs next."""
    network.hybridize(static_alloc=True, static_shape=True)


def _one_picture(dataset: Dataset) -> tuple[int, ...]:
    return tuple(1 if size == -1 else size for size in dataset.input_shape)


def _objective(network: gluon.HybridBlock, dataset: Dataset) -> Objective:
    if isinstance(dataset, Detection):
        from mrt.train_detection import SSDObjective  # imports gluoncv, which takes seconds

        _compile(network)
        return SSDObjective(network, _one_picture(dataset))
    criterion = gluon.loss.SoftmaxCrossEntropyLoss()
    return lambda pictures, labels: criterion(network(mx.nd.array(pictures)), mx.nd.array(labels))


def _trainer(settings: TrainSettings, network: gluon.HybridBlock, steps: int) -> gluon.Trainer:
    options: dict[str, Any] = {"learning_rate": settings.learning_rate, "wd": settings.weight_decay}
    if settings.optimizer != "adam":
        options["momentum"] = settings.momentum
    if settings.schedule == "cosine":
        options["lr_scheduler"] = mx.lr_scheduler.CosineScheduler(steps * settings.epochs, settings.learning_rate)
    return gluon.Trainer(network.collect_params(), settings.optimizer, options, kvstore=None)


def _epoch(
    settings: TrainSettings, dataset: Dataset, steps: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    order = rng.permutation(dataset.size("train"))[: steps * settings.batch]
    for indices in order.reshape(steps, settings.batch):
        pixels, labels = dataset.read("train", indices)
        if settings.augment:
            pixels = dataset.augment(pixels, rng)
        yield dataset.normalise(pixels), dataset.model_labels(labels)
