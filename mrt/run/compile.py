"""The compile stage: the CVM model with its proof, and the folder that it is written to."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable

import numpy as np
from cvm.certificate import certify
from cvm.package import save_package

from mrt.config.sections import QuantizationSwitches
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.quantizer.classes import with_classes
from mrt.quantizer.quantize import Quantized
from mrt.report import Progress
from mrt.run.products import COMPILED, FOLDER, QUANTIZED
from mrt.run.sample_source import SampleSource
from mrt.run.stage import Made, Products, Stage
from mrt.targets.cvm.compiler import Compiled, compile_model, model_input
from mrt.targets.cvm.description import describe

logger = logging.getLogger(__name__)


class Classes(Stage):
    """The integer network with classes for outputs instead of scores: [QUANTIZATION] Output=argmax."""

    takes = (QUANTIZED,)
    gives = (QUANTIZED,)

    def run(self, have: Products, progress: Progress) -> Made:
        """It, or MRTError where an output is no scores."""
        return {QUANTIZED: with_classes(have[QUANTIZED])}


def compiling_stages(switches: QuantizationSwitches, batch: int = 1) -> list[Stage]:
    """From the integer network to the compiled model of `batch`."""
    return [*([Classes()] if switches.output == "argmax" else []), Compile(switches, batch)]


class Compile(Stage):
    """The CVM model of the integer network, certified; None where operators were left in float."""

    takes = (QUANTIZED,)
    gives = (COMPILED,)

    def __init__(self, switches: QuantizationSwitches, batch: int = 1) -> None:
        """`batch` is the size that the model states."""
        self._in_float = bool(switches.restore_name)
        self._batch = batch

    def run(self, have: Products, progress: Progress) -> Made:
        """The model, or MRTError where it could overflow."""
        quantized = have[QUANTIZED]
        if self._in_float:
            logger.warning("operators are left in float: the model is not compiled")
            return {COMPILED: None}
        with progress.stage("compile"):
            model = compile_model(quantized, self._batch)
            compiled = Compiled(model, certify(model), self._batch)
        if not compiled.certificate.ok:
            raise MRTError(f"compile: {compiled.certificate.verdict()}")
        return {COMPILED: compiled}


class Write(Stage):
    """The folder of the compiled model: model, proof, meaning of its integers, a sample."""

    takes = (COMPILED, QUANTIZED)
    gives = (FOLDER,)

    def __init__(
        self, folder: Path, samples: SampleSource, dataset: Callable[[], Dataset | None], coded: bool = False
    ) -> None:
        """`dataset` gives preprocessing and class names; the sample is the first of `samples`; `coded`: params.huf."""
        self._folder = folder
        self._samples = samples
        self._dataset = dataset
        self._coded = coded

    def run(self, have: Products, progress: Progress) -> Made:
        """Where it lies; None where there is no compiled model."""
        compiled, quantized = have[COMPILED], have[QUANTIZED]
        if compiled is None:
            return {FOLDER: None}
        write_model(self._folder, compiled, quantized, self._samples, self._dataset(), self._coded)
        return {FOLDER: self._folder}


def write_model(
    folder: Path,
    compiled: Compiled,
    quantized: Quantized,
    samples: SampleSource,
    dataset: Dataset | None,
    coded: bool = False,
) -> None:
    """Write a compiled model's folder; see `Write`."""
    model = compiled.model
    sample = model_input(quantized, quantized.integers(samples.first(compiled.batch)))
    proof = compiled.certificate
    certificate = {"certificate.json": proof.to_json().encode(), "certificate.txt": proof.to_text().encode()}
    description = describe(model, quantized, dataset)
    save_package(folder, model, description, np.resize(sample, model.input_shape), certificate, coded)
