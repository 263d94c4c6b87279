"""`mrt train` with a teacher: [TRAIN] and [DISTILLATION] together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mrt.compress.distill import Distilled, DistillSettings
from mrt.config.compression import Distillation
from mrt.datasets import Dataset
from mrt.datasets.detection import Detection
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.frontends.reading import network_of_files
from mrt.graph.batch import InputShape
from mrt.run.source import network_at
from mrt.train import (
    Epoch,
    TrainingCheckpoint,
    TrainSettings,
    export,
    fit,
    initial_network,
    judge,
    make_folder,
)


def settings_of(section: Distillation) -> DistillSettings:
    """What [DISTILLATION] says of the losses."""
    return DistillSettings(section.losses, section.temperature, section.pairs, section.fsp_pairs)


def train_with_teacher(
    settings: TrainSettings,
    section: Distillation,
    dataset: Dataset,
    shape: InputShape,
    out_prefix: Path,
    progress: Callable[[Epoch], None],
) -> dict[str, float]:
    """As `mrt.train.train`, with the losses of [DISTILLATION]; the nodes of pairs are those of the exported network.

    Raises:
        MRTError: as there; the dataset is a detector's; or the teacher does not fit.
    """
    if isinstance(dataset, Detection):
        raise MRTError(
            f"only networks that classify are taught, and {dataset.name} is for detectors", switch="distillation"
        )
    make_folder(out_prefix.parent)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "student"
        network = initial_network(settings, dataset)
        learned = [name for name, parameter in network.collect_params().items() if parameter.grad_req != "null"]
        export(network, written)
        student = network_of_files(Path(f"{written}-symbol.json"), Path(f"{written}-0000.params"), shape)
    teacher = network_at(Path(section.teacher), shape)
    distilled = Distilled(student, teacher, settings_of(section), learned)
    origin = {f"[TRAIN] {key.capitalize()}": str(value) for key, value in asdict(settings).items()}
    origin["[TRAIN] Dataset"] = f"{dataset.name} {[*dataset.inputs.values()]} {dataset.preprocess}"
    origin["[DISTILLATION]"] = str(section)
    checkpoint = TrainingCheckpoint(out_prefix.with_name(out_prefix.name + ".train.npz"), origin)
    loss = fit(distilled.learner, distilled.objective, settings, dataset, checkpoint, progress)
    trained = distilled.learner.graph
    files = (out_prefix.with_name(out_prefix.name + suffix) for suffix in ("-symbol.json", "-0000.params"))
    mxnet_files.save(trained, *files)
    checkpoint.drop()
    return {**judge(Executor(trained), dataset, settings.batch), "loss": loss, "epochs": settings.epochs}
