"""Trains the networks that `mrt.nets` builds, from the start, and writes them (the configuration's [TRAIN] section)."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable

import mxnet as mx
from mxnet import gluon

from mrt import nets
from mrt.atomic import atomic_write
from mrt.datasets import Dataset
from mrt.datasets.detection import Detection
from mrt.errors import MRTError, Remedy
from mrt.nets.pretrained import read_weights, weights_file
from mrt.packages import prepare_gluoncv
from mrt.train.fit import Epoch, Objective, cross_entropy, fit
from mrt.train.judge import evaluate
from mrt.train.learner import BlockLearner
from mrt.train.resume import TrainingCheckpoint
from mrt.train.settings import TrainSettings

_SUFFIXES = ("-0000.params", "-symbol.json")


def train(
    settings: TrainSettings,
    dataset: Dataset,
    out_prefix: Path,
    progress: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Trains a network and writes ``<out_prefix>-symbol.json`` and ``<out_prefix>-0000.params``, or neither.

    After each epoch ``<out_prefix>.train.npz`` has all that a later call with the same settings goes on from. The same
    settings give the same weights on the same machine with the same number of threads, interrupted or not (elsewhere,
    sums of floats may be taken in another order).

    Args:
        settings: the network and how to train it.
        dataset: trained on "train", judged on "evaluation".
        out_prefix: where to write; existing files are replaced once the training is complete.
        progress: called after each epoch.

    Returns:
        The dataset's metrics on the evaluation split, with "loss" (of the last epoch), "epochs" and "seconds".

    Raises:
        MRTError: unknown network, a training split smaller than a batch, a folder that cannot be written in, a
            training that diverged, or a checkpoint of a training with other settings.
    """
    started = time.monotonic()
    make_folder(out_prefix.parent)  # better now than after the training
    network = initial_network(settings, dataset)
    objective = _objective(network, dataset)
    learner = BlockLearner(network)
    origin = {f"[TRAIN] {key.capitalize()}": str(value) for key, value in asdict(settings).items()}
    origin["[TRAIN] Dataset"] = f"{dataset.name} {[*dataset.inputs.values()]} {dataset.preprocess}"
    checkpoint = TrainingCheckpoint(out_prefix.with_name(out_prefix.name + ".train.npz"), origin)
    loss = fit(learner, objective or cross_entropy(learner), settings, dataset, checkpoint, progress)
    _compile(network)  # for inference: a detector is another graph there
    scores = evaluate(network, dataset, settings.batch)
    export(network, out_prefix)
    checkpoint.drop()
    return {**scores, "loss": loss, "epochs": settings.epochs, "seconds": time.monotonic() - started}


def export(network: gluon.HybridBlock, out_prefix: Path) -> None:
    """Writes a network that has run as ``<out_prefix>-symbol.json`` and ``<out_prefix>-0000.params``, each whole."""
    make_folder(out_prefix.parent)
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


def make_folder(folder: Path) -> None:
    """Make a folder to write in, or says why that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MRTError(f"{folder}: cannot be written in: {error.strerror}", Remedy.MODEL_DIR) from None


def initial_network(settings: TrainSettings, dataset: Dataset) -> gluon.HybridBlock:
    """The network as training begins: every weight drawn, from the settings' seed, or read."""
    mx.random.seed(settings.seed)
    network = nets.get(settings.network)
    network.initialize(mx.init.Xavier())
    _compile(network)
    network(*(mx.nd.zeros(shape) for shape in _one_picture(dataset)))  # deferred shapes: draws every initial weight now
    if settings.initial:
        read_weights(network, weights_file(settings.initial))
    return network


def _compile(network: gluon.HybridBlock) -> None:
    """Has the network's graph made anew when it runs next."""
    network.hybridize(static_alloc=True, static_shape=True)


def _one_picture(dataset: Dataset) -> list[tuple[int, ...]]:
    return [tuple(1 if size == -1 else size for size in shape) for shape in dataset.inputs.values()]


def _objective(network: gluon.HybridBlock, dataset: Dataset) -> Objective | None:
    """A detector's objective, None for what has classes; decided before anything is trained."""
    if not isinstance(dataset, Detection):
        return None
    prepare_gluoncv()
    from mrt.train.detection import SSDObjective  # imports gluoncv, which takes seconds

    _compile(network)
    return SSDObjective(network, _one_picture(dataset)[0])
