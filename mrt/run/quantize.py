"""The quantize stage: how to quantize, from the switches and the data; then the integer network."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from mrt.analysis.held_out import agreements, prefers
from mrt.analysis.precision import widen
from mrt.analysis.sensitivity import operators_of
from mrt.calibrate.coverage import Coverage, check_names, near, tensor_names
from mrt.calibrate.thresholds import AUTO
from mrt.config.sections import QuantizationSwitches
from mrt.errors import MRTError, Remedy
from mrt.executors.device import context
from mrt.graph import Graph, Value
from mrt.graph.batch import Feed, Samples
from mrt.integer.form import ExtraBits
from mrt.integer.limbs import LIMB_BITS
from mrt.integer.pixels import Pixels
from mrt.integer.rounding import Rounding
from mrt.quantizer.annotate import FAINTEST
from mrt.quantizer.cheap import cheap_layers, input_layers, small_layers
from mrt.quantizer.choice import choose_calibrators
from mrt.quantizer.pixel_inputs import settled_pixels
from mrt.quantizer.poor import poor_layers
from mrt.quantizer.quantize import Quantized, QuantizeSettings, quantize
from mrt.recipe import Recipe
from mrt.report import Progress
from mrt.run.products import MOMENTS, PRECISION, PREPARED, QUANTIZED, RIVAL, SETTINGS, STATISTICS
from mrt.run.sample_source import SampleSource
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.statistics.tensor import Statistics

logger = logging.getLogger(__name__)

_FALLBACK = "mse"  # where `auto` has nothing to go by
_JUDGED_PICTURES = 16
_WIDENING_PICTURES = 32
_PIXEL_PICTURES = 64
_GUARDED = (AUTO, "entropy")  # calibrators that may gain decibels and lose classes
_HELD_OUT, _FEWEST_TO_PART = 128, 8


class Settle(Stage):
    """Settles how to quantize: names checked, calibrators chosen where they are `auto`."""

    takes = (PREPARED, STATISTICS)
    gives = (SETTINGS, RIVAL)

    def __init__(self, recipe: Recipe, samples: SampleSource) -> None:
        """`samples` are what calibrators are chosen on."""
        self._recipe = recipe
        self._samples = samples

    def run(self, have: Products, progress: Progress) -> Made:
        """The settings of the quantizer."""
        prepared, switches = have[PREPARED], self._recipe.quantization
        _check_thresholds(prepared, switches.thresholds)
        _warn_of_faint(prepared, have[STATISTICS])
        settings = QuantizeSettings(
            input_precision=switches.input_precision,
            output_precision=switches.output_precision,
            coverage=self._coverage(prepared),
            offsets=switches.offset_activations,
            rounding=Rounding(switches.rounding, switches.bias_correction),
            softmax_lambda=switches.softmax_lambd or QuantizeSettings.softmax_lambda,
            restore_name=switches.restore_name,
            extra=_extra_bits(prepared, switches),
            whole=_whole(self._samples.first(1), prepared),
            pixels=self._pixels(),
        )
        rival = settings.coverage.otherwise(_FALLBACK) if self._recipe.calibration.calibrator in _GUARDED else None
        if self._recipe.calibration.calibrator == AUTO:
            chosen = self._chosen(prepared, have[STATISTICS], settings, progress)
            settings = replace(settings, coverage=settings.coverage.otherwise(_FALLBACK, chosen))
        if switches.precision != "8":
            pictures = self._samples.batches(min(_JUDGED_PICTURES, self._samples.calibrated))
            where = context(self._recipe.calibration)
            poor = poor_layers(prepared, have[STATISTICS], settings, pictures, where)
            settings = replace(settings, extra=settings.extra | poor)
        return {SETTINGS: settings, RIVAL: rival}

    def _pixels(self) -> dict[str, Pixels]:
        count = min(_PIXEL_PICTURES, self._samples.calibrated)
        return settled_pixels(self._samples.pixels, self._samples.batches(count))

    def _coverage(self, prepared: Graph) -> Coverage:
        switches = self._recipe.calibration
        check_names(prepared, switches.calibrators, "calibration.calibrators")
        default = _FALLBACK if switches.calibrator == AUTO else switches.calibrator
        return Coverage(default, switches.calibrators, self._recipe.quantization.thresholds, switches.lambda_)

    def _chosen(
        self, prepared: Graph, statistics: Mapping[str, Statistics], settings: QuantizeSettings, progress: Progress
    ) -> dict[str, str]:
        count = self._samples.calibrated - held_out(self._samples.calibrated)
        with progress.stage("calibrators", total=count) as step:
            where, pictures = context(self._recipe.calibration), self._samples.batches(count)
            chosen = choose_calibrators(prepared, dict(statistics), settings, pictures, where, step.advance)
        for tensor, name in chosen.items():
            logger.debug("calibrator of %s: %s", tensor, name)
        return chosen


class Quantize(Stage):
    """The integer network; with Precision=auto, with extra bits where they gain most."""

    takes = (PREPARED, STATISTICS, MOMENTS, SETTINGS, RIVAL)
    gives = (QUANTIZED, PRECISION)

    def __init__(self, recipe: Recipe, samples: SampleSource, checkpoint: Checkpoint | None = None) -> None:
        """`samples` are what extra bits are chosen on, and calibrators held against each other."""
        self._switches, self._calibration = recipe.quantization, recipe.calibration
        self._samples = samples
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The integer network, and what extra bits gained."""
        prepared, chosen = have[PREPARED], have[SETTINGS]

        def quantized_with(extra: ExtraBits, coverage: Coverage | None = None) -> Quantized:
            settings = replace(chosen, extra=chosen.extra | extra, coverage=coverage or chosen.coverage)
            with progress.stage("quantize", total=len(prepared.nodes())) as step:
                return quantize(prepared, have[STATISTICS], settings, have[MOMENTS], step.advance)

        quantized, rival = quantized_with(ExtraBits()), have[RIVAL]
        if rival is not None:
            other = quantized_with(ExtraBits(), rival)
            if not self._stands(prepared, quantized, other, progress) and self._calibration.calibrator == AUTO:
                quantized, chosen = other, replace(chosen, coverage=rival)
        if self._switches.precision != "auto":
            return {QUANTIZED: quantized, PRECISION: None}
        count = min(_WIDENING_PICTURES, self._samples.calibrated)
        target, budget = self._switches.precision_target, self._switches.precision_budget
        with progress.stage("precision", total=count * len(operators_of(prepared, quantized))) as step:
            pictures = self._samples.labelled(count)
            wider, gain = widen(prepared, quantized, quantized_with, pictures, target, budget, step.advance)
        return {QUANTIZED: wider, PRECISION: gain}

    def _stands(self, prepared: Graph, one: Quantized, rival: Quantized, progress: Progress) -> bool:
        """Whether a network is at least as good as its rival on the held-out pictures; a line says where it is not."""
        calibrated = self._samples.calibrated
        count = held_out(calibrated) or calibrated
        with progress.stage("calibrators", total=count):
            last = Samples(prepared.inputs).last(self._samples.batches(calibrated), count, calibrated)
            first, second = agreements(prepared, [one, rival], last, context(self._calibration))
        if prefers(first, second):
            return True
        shares = [_per_cent(each.share) for each in (first, second) if each.share is not None]
        said = f" (top-1 as the float network's: {shares[0]}, with {_FALLBACK} {shares[1]})" if len(shares) > 1 else ""
        name = self._calibration.calibrator
        kept = f": {_FALLBACK} is taken" if name == AUTO else ""
        logger.warning(
            "calibrator %s does worse than %s on %d held-out pictures%s%s",
            name,
            _FALLBACK,
            count,
            said,
            kept,
            extra={"remedy": None if name == AUTO else Remedy.CALIBRATOR},
        )
        return False


def held_out(calibrated: int) -> int:
    """How many of the calibration pictures calibrators are not chosen on, but held against each other: the last."""
    return 0 if calibrated < _FEWEST_TO_PART else min(calibrated // 4, _HELD_OUT)


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _extra_bits(prepared: Graph, switches: QuantizationSwitches) -> ExtraBits:
    """What takes more than 8 bits without measuring anything."""
    if switches.precision == "8":
        return ExtraBits()
    cheap = cheap_layers(prepared) | small_layers(prepared)
    return cheap | input_layers(prepared) if switches.input_precision > LIMB_BITS else cheap


def _whole(sample: Feed, prepared: Graph) -> frozenset[str]:
    """The inputs whose data are whole numbers by their type."""
    named = sample if isinstance(sample, Mapping) else dict.fromkeys(prepared.inputs, sample)
    return frozenset(name for name, array in named.items() if array.dtype.kind in "iub")


def _warn_of_faint(prepared: Graph, statistics: Mapping[str, Statistics]) -> None:
    """Name the first tensor that is all but zero: no form has steps that fine, so it becomes 0."""
    for node in prepared.nodes():
        known = statistics.get(Value(node).name)
        if known is not None and 0 < known.threshold() < FAINTEST:
            logger.warning(
                "node %s: its values are nowhere above %.1g on the calibration data, and integers hold nothing below "
                "%.0g: look at its weights, or scale it up",
                node.name,
                known.threshold(),
                FAINTEST,
            )
            return


def _check_thresholds(prepared: Graph, thresholds: Mapping[str, float]) -> None:
    """Refuse thresholds of nodes that the network does not have; those of MRT's own rewriting are only named."""
    known = {name for node in prepared.nodes() for name in tensor_names(Value(node))}
    unused = [name for name in thresholds if name not in known]
    for name in unused:
        if not name.startswith("mrt_rewrite_"):
            raise MRTError(f"the network has no node {name}{near(name, known)}", switch="quantization.thresholds")
    if unused:
        logger.warning("thresholds of %s are ignored: nodes of MRT's own rewriting", ", ".join(unused))
