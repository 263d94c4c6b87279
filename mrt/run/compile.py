"""The compile stage: the CVM model with its proof, and the folder that it is written to."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable

import numpy as np
from cvm.certificate import certify
from cvm.package import save_package

from mrt.config.model import QuantizationSwitches
from mrt.errors import MRTError
from mrt.graph.batch import only
from mrt.integer.tensor_info import quantize_input
from mrt.quantizer.quantize import Quantized
from mrt.report import Progress
from mrt.run.products import COMPILED, FOLDER, QUANTIZED
from mrt.run.sample_source import SampleSource
from mrt.run.stage import Made, Products, Stage
from mrt.targets.cvm.compiler import Compiled, compile_model

logger = logging.getLogger(__name__)


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
            logger.warning("[QUANTIZATION] Restore_name keeps operators in float: the model is not compiled")
            return {COMPILED: None}
        with progress.stage("compile"):
            model = compile_model(quantized.graph, quantized.input.precision, self._batch)
            compiled = Compiled(model, certify(model))
        if not compiled.certificate.ok:
            raise MRTError(f"compile: {compiled.certificate.verdict()}")
        return {COMPILED: compiled}


class Write(Stage):
    """The folder of the compiled model: model, proof, meaning of its integers, a sample."""

    takes = (COMPILED, QUANTIZED)
    gives = (FOLDER,)

    def __init__(
        self, folder: Path, samples: SampleSource, batch_axis: int, describe: Callable[..., dict[str, Any]]
    ) -> None:
        """`describe(model, quantized)` gives the content of ext.json; the sample is the first of `samples`."""
        self._folder = folder
        self._samples = samples
        self._batch_axis = batch_axis
        self._describe = describe

    def run(self, have: Products, progress: Progress) -> Made:
        """Where it lies; None where there is no compiled model."""
        compiled, quantized = have[COMPILED], have[QUANTIZED]
        if compiled is None:
            return {FOLDER: None}
        write_model(self._folder, compiled, quantized, self._samples, self._batch_axis, self._describe)
        return {FOLDER: self._folder}


def write_model(
    folder: Path,
    compiled: Compiled,
    quantized: Quantized,
    samples: SampleSource,
    batch_axis: int,
    describe: Callable[..., dict[str, Any]],
) -> None:
    """Write a compiled model's folder; see `Write`."""
    model = compiled.model
    sample = quantize_input(only(samples.first(model.input_shape[batch_axis])), quantized.input)
    proof = compiled.certificate
    certificate = {"certificate.json": proof.to_json().encode(), "certificate.txt": proof.to_text().encode()}
    save_package(folder, model, describe(model, quantized), np.resize(sample, model.input_shape), certificate)
