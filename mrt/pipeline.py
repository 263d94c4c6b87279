"""Configuration in, compiled model and report out: the list of stages that `mrt CONFIG` runs."""

from __future__ import annotations

import logging
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cvm
import numpy as np

from mrt.analysis.costs import costly
from mrt.config import Config
from mrt.errors import MRTError, Remedy
from mrt.report import Progress, Report
from mrt.report.loss import is_poor, notice
from mrt.run.details import Fusions, Spreads, layer_noise
from mrt.run.evaluation import CompareTwin, Costs, Evaluate, FindJudge
from mrt.run.load import Load, LoadUntrained
from mrt.run.pictures import Pictures
from mrt.run.products import (
    COMPILED,
    COMPRESSION,
    COSTS,
    EVALUATED,
    FLOAT_BYTES,
    FOLDER,
    FUSED,
    MERGED,
    PARTS,
    PRECISION,
    PREPARED,
    SAME,
    SHARED,
    SPREADS,
    TRAINED,
)
from mrt.run.split_evaluation import SplitEvaluate
from mrt.run.stage import Product, Products, Stage, run_stages
from mrt.run.stages import compiled_stages, configured_stages, hold_instructions
from mrt.tasks import Workers
from mrt.version import __version__

logger = logging.getLogger(__name__)


def run(
    config: Config,
    progress: Progress,
    random_weights: bool = False,
    network: str | None = None,
    parts: tuple[Workers, int] | None = None,
) -> Report:
    """Run every stage that the configuration asks for.

    Args:
        config: what to do.
        progress: shows it.
        random_weights: make it a structural run (`mrt.run.seeded`): seeded weights, agreement and no accuracy.
        network: of a structural run, what `mrt.nets` builds where Model_name says nothing to it.
        parts: evaluate in so many tasks, there; not of a structural run.

    Raises:
        MRTError: bad input, named.
    """
    if random_weights and parts:
        raise MRTError("random weights: a structural run is evaluated in one", Remedy.WHOLE_RUN)
    if random_weights and config.default.start:
        raise MRTError("random weights: a structural run starts at the beginning", Remedy.WHOLE_RUN)
    hold_instructions(config)
    pictures = Pictures(config, synthetic=random_weights)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if config.compilation:
            folder = config.compilation.dump_dir / f"{config.default.model_name}_cvm"
        evaluated = config.evaluation is not None and config.evaluation.iter_num != 0
        load: Stage = LoadUntrained(config, network, pictures) if random_weights else Load(config)
        stages = [
            load,
            FindJudge(config, pictures, skipped=random_weights or not evaluated),
            *configured_stages(config, pictures),
            *compiled_stages(config, pictures, folder),
            Fusions(),
            SplitEvaluate(config, pictures, *parts) if parts else Evaluate(config, pictures, random_weights),
            Costs(config, pictures),
            Spreads(),
            CompareTwin(config, pictures),
        ]
        wanted: list[Product[Any]] = [COMPRESSION, FLOAT_BYTES, COMPILED, FOLDER, PARTS, MERGED, PRECISION, EVALUATED]
        if config.qat is not None:
            wanted.append(TRAINED)
        if config.sharing is not None:
            wanted.append(SHARED)
        if random_weights or not config.default.start:  # a resumed run may lack the prepared network
            wanted += [COSTS, FUSED, SPREADS, PREPARED]
        if random_weights:
            wanted.append(SAME)
        have = run_stages(stages, wanted, progress, config.default.start)
        return _report(config, have, progress)


def apart(config: Config) -> Config:
    """The configuration with folders of its own to write to: a structural run must not replace what a real one left."""
    default = config.default.model_copy(update={"output_dir": config.default.output_dir / "random_weights"})
    compilation = config.compilation
    if compilation:
        compilation = compilation.model_copy(update={"dump_dir": compilation.dump_dir / "random_weights"})
    return config.model_copy(update={"default": default, "compilation": compilation})


def _report(config: Config, have: Products, progress: Progress) -> Report:
    report, compiled, folder = have[EVALUATED], have[COMPILED], have[FOLDER]
    report.versions = _versions()
    report.configuration = config.as_dict()
    report.precision = have[PRECISION]
    report.compression = have[COMPRESSION]
    if config.qat is not None:
        report.qat = have[TRAINED]
    if config.sharing is not None:
        report.sharing = have[SHARED]
    report.size_bytes.float_ = have[FLOAT_BYTES]
    if compiled and folder:
        report.size_bytes.cvm = sum((folder / name).stat().st_size for name in ("symbol", "params"))
        if report.sharing is not None:
            report.sharing.coded_bytes = (folder / "params.huf").stat().st_size
        proof = compiled.certificate
        report.certificate = {"ok": proof.ok, "peak": proof.peak, "verdict": proof.verdict()}
    if SAME in have:  # a structural run
        report.weights = "random"
        report.bit_exact = have[SAME]
    if COSTS in have:
        costs = have[COSTS]
        report.layers = layer_noise(costs, have[PREPARED])
        report.fused, report.spreads = have[FUSED], have[SPREADS]
        if report.weights == "random" or is_poor(report):
            report.costly_layers = costly(costs)
    report.model_dir = str(folder) if folder and config.compilation else None
    report.seconds = dict(progress.seconds)
    if warning := notice(report):
        logger.warning("%s", warning)
    return report


def _versions() -> dict[str, str]:
    versions = {"mrt": __version__, "cvm": cvm.__version__, "python": platform.python_version()}
    for package in ("mxnet", "numpy", "gluoncv", "sympy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    versions["numpy"] = np.__version__
    return versions
