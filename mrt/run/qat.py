"""The stages of [QAT]: fewer bits than 8, and training of the integer network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from cvm.certificate import certify
from cvm.package import save_package

from mrt.calibrate.gather import constant_layers
from mrt.compress.integer_training import IntegerLearner, layers_of
from mrt.config.compression import Qat as QatSection
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.quantizer.quantize import Quantized
from mrt.report import Progress
from mrt.report.compression import TrainedIntegers
from mrt.run.batching import Run
from mrt.run.evaluation import native_run
from mrt.run.pictures import Pictures
from mrt.run.products import PRECISION, PREPARED, QUANTIZED, SETTINGS, TRAINED
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.targets.cvm.compiler import compile_model
from mrt.train import Epoch, FitSettings, TrainingCheckpoint, cross_entropy, fit, judge
from mrt.train.resume import digest

_BATCH = 100
_EXCEPT = {"dataset", "dataset_dir", "bits", "layer_bits", "held_out", "epochs"}


class FewBits(Stage):
    """Says which layers take fewer than 8 bits: all but the first and the last, or those named."""

    takes = (PREPARED, SETTINGS)
    gives = (SETTINGS,)

    def __init__(self, section: QatSection) -> None:
        """See [QAT] Bits and Layer_bits."""
        self._section = section

    def run(self, have: Products, progress: Progress) -> Made:
        """The settings of the quantizer, with the bits."""
        settings = have[SETTINGS]
        bits = bits_of(have[PREPARED], self._section)
        return {SETTINGS: replace(settings, bits={n: b for n, b in bits.items() if n not in settings.extra.inputs})}


def bits_of(prepared: Graph, section: QatSection) -> dict[str, int]:
    """The layers of fewer than 8 bits, by name.

    Raises:
        MRTError: Layer_bits names a layer that there is not.
    """
    names = [layer.name for layer in constant_layers(prepared)]
    found = dict.fromkeys(names[1:-1], section.bits)
    for pattern, bits in section.layer_bits.items():
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            raise MRTError(f"[QAT] Layer_bits: the prepared network has no layer {pattern}")
        found.update(dict.fromkeys(fitting, bits))
    return {name: bits for name, bits in found.items() if bits < 8}


class Qat(Stage):
    """Trains the integer network; what comes of it is never worse on the held-out pictures than what went in."""

    takes = (PREPARED, QUANTIZED, PRECISION)
    gives = (QUANTIZED, PRECISION, TRAINED)

    def __init__(self, section: QatSection, pictures: Pictures, kept: Path, checkpoint: Checkpoint) -> None:
        """`kept` is the file that an interrupted training goes on from."""
        self._section, self._pictures, self._kept = section, pictures, kept
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The trained integer network."""
        section, quantized = self._section, have[QUANTIZED]
        dataset = self._pictures.of(section)
        count = dataset.size("train") - section.held_out
        if count < section.batch:
            raise MRTError(
                f"[QAT] Held_out={section.held_out}: of {dataset.size('train')} training pictures {max(count, 0)} are "
                "left to train on; lower it"
            )
        before = self._accuracy(quantized, dataset, count)
        layers = layers_of(quantized, bits_of(have[PREPARED], section))
        epochs: list[float] = []
        after = before
        if section.epochs:
            learner = IntegerLearner(quantized, layers)
            learner.keep_if_best(before)
            with progress.stage("qat", total=section.epochs) as step:

                def judged(epoch: Epoch) -> None:
                    epochs.append(self._accuracy(learner.network(), dataset, count))
                    learner.keep_if_best(epochs[-1])
                    step.advance(epoch.number - step.done)

                settings = FitSettings(epochs=section.epochs, **section.model_dump(exclude=_EXCEPT))
                origin = {f"[QAT] {key.capitalize()}": str(value) for key, value in section.model_dump().items()}
                origin["the integer network"] = digest(quantized.graph.params)
                checkpoint = TrainingCheckpoint(self._kept, origin)
                fit(learner, cross_entropy(learner), settings, dataset, checkpoint, judged, count, "QAT")
            quantized = learner.network(best=True)
            after = self._accuracy(quantized, dataset, count)
            checkpoint.drop()
        gained = TrainedIntegers(
            bits=section.bits,
            layers=len(layers),
            pictures=section.held_out,
            before=before,
            after=after,
            epochs=epochs,
        )
        return {QUANTIZED: quantized, PRECISION: have[PRECISION], TRAINED: gained}

    def _accuracy(self, quantized: Quantized, dataset: Dataset, first: int) -> float:
        """Of the compiled model on the held-out pictures; below all others where it could overflow."""
        with _compiled(quantized) as run:
            if run is None:
                return -1.0

            def real(pictures: object) -> object:
                return quantized.real(run(quantized.integers(pictures)))  # type: ignore[arg-type]

            scores = judge(real, dataset, _BATCH, "train", first, self._section.held_out)  # type: ignore[arg-type]
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
