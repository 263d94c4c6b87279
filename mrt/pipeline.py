"""Strings the stages together: configuration in, compiled model and report out."""

from __future__ import annotations

import logging
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cvm
import mxnet as mx
import numpy as np
from cvm import formal
from cvm.certificate import certify
from cvm.errors import CVMError
from cvm.package import save_package

from mrt import __version__, memory
from mrt.analysis.ablation import Kept, variants
from mrt.analysis.costs import costly_layers
from mrt.analysis.precision import widen
from mrt.analysis.sensitivity import measure, operators_of
from mrt.atomic import atomic_write
from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.largest_per_channel import largest_per_channel
from mrt.calibrate.moments import Moments, gather
from mrt.calibrate.ranges import Ranges, check_names, near, tensor_names
from mrt.calibrate.statistics import Statistics
from mrt.calibrate.thresholds import AUTO
from mrt.config import Config
from mrt.config.model import Stage
from mrt.config.paths import spellings
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph, Value
from mrt.ops.box_nms import SUPPRESSING
from mrt.quantizer.cheap import cheap_layers
from mrt.quantizer.choice import choose_calibrators
from mrt.quantizer.limbs import ExtraBits
from mrt.quantizer.quantize import Quantized, QuantizeSettings, quantize
from mrt.quantizer.rounding import NEAREST, Rounding
from mrt.report import Progress, Report, SizeBytes, Step
from mrt.report.ablation import Ablation, Outcome
from mrt.report.precision import PrecisionGain
from mrt.report.sensitivity import Sensitivity
from mrt.run.checkpoints import Checkpoints
from mrt.run.evaluate import Run, compare, dequantize, evaluate, in_pieces, quantize_input
from mrt.run.keys import split_as_configured
from mrt.run.merge import merge
from mrt.run.pictures import Pictures
from mrt.run.source import load_network, untrained_network
from mrt.run.split import Split
from mrt.run.structural import structural_network
from mrt.targets.cvm.compiler import Compiled, compile_model
from mrt.targets.cvm.description import describe
from mrt.transform import PREPARE, PassManager
from mrt.transform.equalize import Equalize, measured

logger = logging.getLogger(__name__)

_VERIFIED_PICTURES = 2
_FITTED_PICTURES = 16
_SAMPLE_PICTURES = 64
_FALLBACK = "mse"  # where `auto` has nothing to go by
_WIDENING_PICTURES = 32


def run(config: Config, progress: Progress, random_weights: bool = False, network: str | None = None) -> Report:
    """Run every stage that the configuration asks for.

    Args:
        config: what to do.
        progress: shows it.
        random_weights: make it a structural run (`mrt.run.structural`): seeded weights, agreement and no accuracy.
        network: of a structural run, what `mrt.nets` builds where Model_name says nothing to it.

    Raises:
        MRTError: bad input, named.
    """
    if random_weights and config.default.start:
        raise MRTError("random weights: a structural run starts at the beginning; leave Start out")
    return _Run(config, progress, random_weights, network).report()


def sensitivity(config: Config, progress: Progress, count: int, sources: Sequence[Path] = ()) -> Sensitivity:
    """Measure what each operator's quantization costs the network (`mrt.analysis.sensitivity`).

    The checkpoints of PREPARE and CALIBRATION are reused as [DEFAULT] Start says; where it says nothing and `sources`
    are given, those that are newer than these files and than the model's.

    Args:
        config: what to quantize, and how.
        progress: shows it.
        count: how many of the pictures to evaluate on, at most.
        sources: files that the configuration came from.

    Raises:
        MRTError: bad input, named.
    """
    if config.quantization.restore_name:
        raise MRTError("[QUANTIZATION] Restore_name: sensitivity leaves each operator in float in turn; leave it out")
    start = min(config.default.start, Stage.CALIBRATION)
    if start == Stage.DEFAULT and sources:
        models = [path for pair in spellings(config.default.model_dir, config.default.model_name) for path in pair]
        checkpoints = Checkpoints(config.default.output_dir, config.default.model_name)
        start = checkpoints.reusable([*sources, *models])
        if start:
            logger.info("reusing the checkpoints in %s up to %s", config.default.output_dir, start.name)
    config = config.model_copy(update={"default": config.default.model_copy(update={"start": start})})
    return _Run(config, progress, False, None).sensitivity(count)


def ablation(config: Config, progress: Progress, quick: bool = False) -> Ablation:
    """Measure what each switch of quantization gains: the compiled network with one of them changed at a time.

    Args:
        config: what to quantize, and how.
        progress: shows it.
        quick: leave out what takes minutes.

    Raises:
        MRTError: bad input, named.
    """
    if config.evaluation is None or config.evaluation.iter_num == 0:
        raise MRTError("mrt ablate compares on the pictures of [EVALUATION], which the configuration has none of")
    if config.quantization.restore_name:
        raise MRTError("[QUANTIZATION] Restore_name: what is left in float does not compile; leave it out")
    with tempfile.TemporaryDirectory() as scratch:
        return _Run(config, progress, False, None).ablation(Path(scratch), quick)


def apart(config: Config) -> Config:
    """The configuration with folders of its own to write to: a structural run must not replace what a real one left."""
    default = config.default.model_copy(update={"output_dir": config.default.output_dir / "random_weights"})
    compilation = config.compilation
    if compilation:
        compilation = compilation.model_copy(update={"dump_dir": compilation.dump_dir / "random_weights"})
    return config.model_copy(update={"default": default, "compilation": compilation})


class _Run:
    def __init__(self, config: Config, progress: Progress, structural: bool, network: str | None) -> None:
        self._config = config
        self._structural = structural
        self._network_name = network
        self._progress = progress
        self._start = config.default.start
        self._checkpoints = Checkpoints(config.default.output_dir, config.default.model_name)
        self._batch_axis = config.default.input_shape.index(-1)
        self._pictures = Pictures(config, synthetic=structural)
        self._gathered: dict[str, Moments] | None = None
        self._precision: PrecisionGain | None = None

    @contextmanager
    def _stage(self, name: str, total: int | None = None) -> Iterator[Step]:
        with self._progress.stage(name, total) as step:
            yield step
        memory.trim()

    def report(self) -> Report:
        config, progress = self._config, self._progress
        network, cut = self._load()
        prepared = self._prepare(cut.base if cut else network)
        if cut and self._start < Stage.SPLIT_MODEL and config.split_model.dump:
            with self._stage("split"):
                self._checkpoints.save_graph("base", prepared)
                self._checkpoints.save_graph("top", cut.top)
        quantized = self._quantize(prepared)
        self._gathered = None  # hundreds of megabytes, of use to further quantizations only
        self._merge(quantized, cut)
        compiled = self._compile(quantized)
        report = Report(
            model=config.default.model_name,
            weights="random" if self._structural else "trained",
            versions=_versions(),
            configuration=config.as_dict(),
            precision=self._precision,
            size_bytes=SizeBytes(float=sum(int(array.nbytes) for array in network.params.values())),
        )
        with tempfile.TemporaryDirectory() as scratch:
            executors: dict[str, Run] = {}
            if compiled:
                folder = Path(scratch)
                if config.compilation:
                    folder = config.compilation.dump_dir / f"{config.default.model_name}_cvm"
                self._write_model(folder, compiled, quantized)
                report.size_bytes.cvm = sum((folder / name).stat().st_size for name in ("symbol", "params"))
                proof = compiled.certificate
                report.certificate = {"ok": proof.ok, "peak": proof.peak, "verdict": proof.verdict()}
                native = _native_run(folder)
                if native or not self._structural:
                    run = native or (lambda data: formal.run(compiled.model, data))
                    executors["cvm"] = self._any_batch(run, compiled)
            if not (self._structural and executors):  # there, the fastest is enough for all but a few pictures
                executors = {"quantized": self._quantized_run(quantized), **executors}
            if config.evaluation and config.evaluation.iter_num != 0:
                self._evaluate(network, quantized, cut, executors, report)
                if self._structural:
                    del network, cut  # their weights make room for the exact executor's
                    pictures = self._pictures.first(_VERIFIED_PICTURES)
                    report.costly_layers = costly_layers(prepared, quantized, pictures)
                    del prepared
                    memory.trim()
                    if "quantized" not in executors:
                        integers = quantize_input(pictures, quantized.input)
                        report.bit_exact = compare(self._quantized_run(quantized)(integers), executors["cvm"](integers))
        report.seconds = dict(progress.seconds)
        return report

    def sensitivity(self, count: int) -> Sensitivity:
        config, progress = self._config, self._progress
        if self._start >= Stage.PREPARE:
            prepared, whole = self._prepare(None), not config.split_model.keys
        else:
            network, cut = self._load()
            prepared, whole = self._prepare(cut.base if cut else network), cut is None
        quantized = self._quantize(prepared)
        dataset, start, available = self._pictures.evaluated()
        count = min(count, available)
        batches = dataset.batches("evaluation", min(count, config.calibration.batch), start, count)
        metric = dataset.metric if whole else None
        operators = len(operators_of(prepared, quantized))
        with self._stage("sensitivity", total=count * operators) as step:
            measured = measure(prepared, quantized, batches, metric, advance=step.advance)
        return Sensitivity(
            model=config.default.model_name,
            dataset=dataset.name,
            pictures=measured.pictures,
            metric=dataset.metric().primary if whole else None,
            float_score=measured.float_score,
            quantized=measured.quantized,
            operators=measured.operators,
            seconds=dict(progress.seconds),
            configuration=config.as_dict(),
        )

    def ablation(self, scratch: Path, quick: bool) -> Ablation:
        config, progress = self._config, self._progress
        network, cut = self._load()
        assert config.evaluation is not None
        dataset, start, count = self._pictures.compared()
        batches = dataset.batches("evaluation", config.evaluation.batch, start, count)
        with self._stage("float", total=count) as step:
            kept = Kept(scratch, batches, Executor(network, context=_context(config.evaluation)), step.advance)
        primary = dataset.metric().primary
        outcomes = []
        for setting, variant in variants(config, quick):
            logger.info("%s", setting)
            run = _Run(_staged(variant, scratch / f"equalize={variant.prepare.equalize}"), progress, False, None)
            run._pictures = self._pictures
            shared = variant.prepare.equalize == config.prepare.equalize
            run._gathered = self._gathered if shared else None
            report = run.against(network, cut, kept)
            self._gathered = run._gathered if shared else self._gathered
            outcomes.append(
                Outcome(
                    setting=setting,
                    score=report.accuracy["cvm"][primary],
                    agreement=report.agreement,
                    sqnr_db=report.sqnr_db,
                )
            )
        return Ablation(
            model=config.default.model_name,
            dataset=dataset.name,
            pictures=count,
            metric=primary,
            float_score=report.accuracy["float"][primary],
            outcomes=outcomes,
            configuration=config.as_dict(),
        )

    def against(self, network: Graph, cut: Split | None, kept: Kept) -> Report:
        """How the compiled network does on the kept pictures."""
        quantized = self._quantize(self._prepare(cut.base if cut else network))
        compiled = self._compile(quantized)
        assert compiled is not None
        report = Report(model=self._config.default.model_name)
        with tempfile.TemporaryDirectory() as scratch:
            self._write_model(Path(scratch), compiled, quantized)
            native = _native_run(Path(scratch)) or (lambda data: formal.run(compiled.model, data))
            self._evaluate(network, quantized, cut, {"cvm": self._any_batch(native, compiled)}, report, kept)
        return report

    def _any_batch(self, run: Run, compiled: Compiled) -> Run:
        """A compiled model takes any batch where that is the first axis, else the one that it was compiled for."""
        axis = self._batch_axis
        return run if axis == 0 else in_pieces(run, axis, compiled.model.input_shape[axis])

    def _load(self) -> tuple[Graph, Split | None]:
        """The whole float network, and where it is cut, if it is."""
        with self._stage("load"):
            network = self._network()
            return network, split_as_configured(network, self._config.split_model.keys)

    def _network(self) -> Graph:
        structural = self._structural
        network = untrained_network(self._config, self._network_name) if structural else load_network(self._config)
        memory.collect()
        return structural_network(network, self._pictures.first(_FITTED_PICTURES)) if structural else network

    def _quantized_run(self, quantized: Quantized) -> Run:
        return Executor(quantized.graph, dtype="float64", context=_context(self._config.quantization))

    def _prepare(self, network: Graph | None) -> Graph:
        if self._start >= Stage.PREPARE or network is None:
            return self._checkpoints.load_graph("prepare")
        with self._stage("prepare"):
            pictures = self._pictures.first(_VERIFIED_PICTURES) if self._config.prepare.verify else None
            prepared = PassManager(PREPARE, verify=pictures).run(network)
            if self._config.prepare.equalize:
                prepared = self._equalize(prepared, pictures)
            if self._config.prepare.dump:
                self._checkpoints.save_graph("prepare", prepared)
        return prepared

    def _equalize(self, prepared: Graph, verified: Array | None) -> Graph:
        values = measured(prepared)
        if not values:
            return prepared
        pictures = self._pictures.batches(self._sample_count())
        largest = largest_per_channel(prepared, values, pictures, _context(self._config.prepare))
        return PassManager([Equalize(largest)], verify=verified).run(prepared)

    def _calibrate(self, prepared: Graph) -> dict[str, Statistics]:
        settings = self._config.calibration
        if self._start >= Stage.CALIBRATION:
            return self._checkpoints.load_statistics()
        count = self._pictures.calibrated
        with self._stage("calibrate", total=count) as step:

            def batches() -> Iterator[Array]:
                for data in self._pictures.batches(count):
                    yield data
                    step.advance(data.shape[self._batch_axis])

            gathered = calibrate(prepared, batches(), _context(settings))
            if settings.dump:
                self._checkpoints.save_statistics(gathered)
        return gathered

    def _quantize(self, prepared: Graph) -> Quantized:
        if self._start >= Stage.QUANTIZATION:
            return self._checkpoints.load_quantized()
        statistics = self._calibrate(prepared)
        settings = self._config.quantization
        self._warn_unused_thresholds(prepared)
        needed = settings.bias_correction or settings.rounding != NEAREST
        moments = self._moments(prepared) if needed else {}
        chosen = self._settings(prepared, statistics)

        def quantized_with(extra: ExtraBits) -> Quantized:
            with self._stage("quantize", total=len(prepared.nodes())) as step:
                return quantize(
                    prepared, statistics, replace(chosen, extra=chosen.extra | extra), moments, step.advance
                )

        quantized = quantized_with(ExtraBits())
        if settings.precision == "auto":
            quantized = self._widened(prepared, quantized, quantized_with)
        if settings.dump:
            self._checkpoints.save_quantized(quantized)
        return quantized

    def _widened(
        self, prepared: Graph, quantized: Quantized, quantized_with: Callable[[ExtraBits], Quantized]
    ) -> Quantized:
        settings = self._config.quantization
        count = min(_WIDENING_PICTURES, self._pictures.calibrated)
        pictures = self._pictures.labelled(count)
        total = count * len(operators_of(prepared, quantized))
        with self._stage("precision", total=total) as step:
            quantized, self._precision = widen(
                prepared,
                quantized,
                quantized_with,
                pictures,
                settings.precision_target,
                settings.precision_budget,
                step.advance,
            )
        return quantized

    def _settings(self, prepared: Graph, statistics: dict[str, Statistics]) -> QuantizeSettings:
        settings = self._config.quantization
        chosen = QuantizeSettings(
            input_precision=settings.input_precision,
            output_precision=settings.output_precision,
            ranges=self._ranges(prepared),
            offsets=settings.offset_activations,
            rounding=Rounding(settings.rounding, settings.bias_correction),
            softmax_lambd=settings.softmax_lambd or QuantizeSettings.softmax_lambd,
            restore_name=settings.restore_name,
            extra=ExtraBits() if settings.precision == "8" else cheap_layers(prepared),
        )
        if self._config.calibration.calibrator == AUTO:
            chosen = replace(chosen, ranges=self._automatic(prepared, statistics, chosen))
        return chosen

    def _ranges(self, prepared: Graph) -> Ranges:
        settings = self._config.calibration
        check_names(prepared, settings.calibrators, "[CALIBRATION] Calibrators")
        default = _FALLBACK if settings.calibrator == AUTO else settings.calibrator
        return Ranges(default, settings.calibrators, self._config.quantization.thresholds, settings.lambda_)

    def _automatic(self, prepared: Graph, statistics: dict[str, Statistics], settings: QuantizeSettings) -> Ranges:
        count = self._pictures.calibrated
        with self._stage("calibrators", total=count) as step:
            context, pictures = _context(self._config.calibration), self._pictures.batches(count)
            chosen = choose_calibrators(prepared, statistics, settings, pictures, context, step.advance)
        for tensor, name in chosen.items():
            logger.debug("calibrator of %s: %s", tensor, name)
        return settings.ranges.otherwise(_FALLBACK, chosen)

    def _moments(self, prepared: Graph) -> dict[str, Moments]:
        if self._gathered is not None:
            return self._gathered
        count = self._sample_count()
        with self._stage("moments", total=count) as step:
            self._gathered = gather(
                prepared, self._pictures.batches(count), _context(self._config.calibration), step.advance
            )
        return self._gathered

    def _sample_count(self) -> int:
        return min(_SAMPLE_PICTURES, self._pictures.calibrated)

    def _warn_unused_thresholds(self, prepared: Graph) -> None:
        known = {name for node in prepared.nodes() for name in tensor_names(Value(node))}
        unused = [name for name in self._config.quantization.thresholds if name not in known]
        for name in unused:
            if not name.startswith("mrt_rewrite_"):
                raise MRTError(f"[QUANTIZATION] Thresholds: the network has no node {name}{near(name, known)}")
        if unused:
            logger.warning("[QUANTIZATION] Thresholds: ignored for %s, nodes of MRT's own rewriting", ", ".join(unused))

    def _merge(self, quantized: Quantized, cut: Split | None) -> Graph | None:
        if cut is None:
            return None
        if self._start >= Stage.MERGE_MODEL:
            return self._checkpoints.load_graph("merge")
        settings = self._config.merge_model
        with self._stage("merge"):
            merged = merge(quantized, cut.top, settings.attribute_deps, settings.oscale_maps)
            if settings.dump:
                self._checkpoints.save_graph("merge", merged)
        return merged

    def _compile(self, quantized: Quantized) -> Compiled | None:
        if self._config.quantization.restore_name:
            logger.warning("[QUANTIZATION] Restore_name keeps operators in float: the model is not compiled")
            return None
        with self._stage("compile"):
            batch = self._config.compilation.batch if self._config.compilation else 1
            model = compile_model(quantized.graph, quantized.input.precision, batch)
            compiled = Compiled(model, certify(model))
        if not compiled.certificate.ok:
            raise MRTError(f"compile: {compiled.certificate.verdict()}")
        return compiled

    def _write_model(self, folder: Path, compiled: Compiled, quantized: Quantized) -> None:
        batch = compiled.model.input_shape[self._batch_axis]
        sample = quantize_input(self._pictures.first(batch), quantized.input)
        description = describe(compiled.model, quantized, self._pictures.calibration)
        save_package(folder, compiled.model, description, np.resize(sample, compiled.model.input_shape))
        atomic_write(folder / "certificate.json", compiled.certificate.to_json())
        atomic_write(folder / "certificate.txt", compiled.certificate.to_text())

    def _evaluate(
        self,
        network: Graph,
        quantized: Quantized,
        cut: Split | None,
        integers: dict[str, Run],
        report: Report,
        kept: Kept | None = None,
    ) -> None:
        settings = self._config.evaluation
        assert settings is not None
        dataset, start, count = self._pictures.compared()
        context = _context(settings)
        if self._structural and cut:  # random boxes are near ties, of which any could be first: compare what selects
            network, cut = cut.base, None
        top = Executor(cut.top, context=context) if cut else None

        def finish(outputs: list[Array]) -> list[Array]:
            real = [dequantize(array, info) for array, info in zip(outputs, quantized.outputs)]
            return top(dict(zip(cut.top.inputs, real))) if top and cut else real

        with self._stage("evaluate", total=count) as step:
            evaluate(
                None if self._structural else dataset.metric,
                kept.batches() if kept else dataset.batches("evaluation", settings.batch, start, count),
                kept.outputs if kept else Executor(network, context=context),
                integers,
                quantized.input,
                finish,
                report,
                step.advance,
            )
        if self._structural and any(node.op in SUPPRESSING for node in network.nodes()):
            report.sqnr_db, report.sqnr_outputs_db = None, []  # near ties, as above
        report.dataset = dataset.name


def _staged(config: Config, folder: Path) -> Config:
    """The configuration, starting at the checkpoints of a folder where they are there, and leaving them there."""
    checkpoints = Checkpoints(folder, config.default.model_name)
    start = Stage.CALIBRATION if checkpoints.path("calibration.json").exists() else Stage.DEFAULT
    return config.model_copy(
        update={
            "default": config.default.model_copy(update={"output_dir": folder, "start": start}),
            "prepare": config.prepare.model_copy(update={"dump": True}),
            "calibration": config.calibration.model_copy(update={"dump": True}),
            "quantization": config.quantization.model_copy(update={"dump": False}),
        }
    )


def _context(settings: Any) -> Any:
    if settings.device_type == "cpu":
        return mx.cpu()
    if mx.context.num_gpus() <= max(settings.device_ids):
        raise MRTError(
            f"Device_type=gpu, Device_ids={max(settings.device_ids)}: this mxnet sees {mx.context.num_gpus()} GPUs; "
            "use --device cpu, or install the gpu extra"
        )
    return mx.gpu(settings.device_ids[0])


def _native_run(folder: Path) -> Run | None:
    """The compiled model on the native runtime, or None, with a warning, where that was not built."""
    try:
        native = cvm.load(folder)
    except CVMError as error:
        logger.warning("the compiled model does not run natively: %s", error)
        return None

    def call(data: Array) -> list[Array]:
        outputs = native(data)
        return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]

    return call


def _versions() -> dict[str, str]:
    versions = {"mrt": __version__, "cvm": cvm.__version__, "python": platform.python_version()}
    for package in ("mxnet", "numpy", "gluoncv", "sympy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    versions["numpy"] = np.__version__
    return versions
