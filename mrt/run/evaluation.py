"""The evaluate stage, and the two measurements that only structural runs make."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cvm
from cvm import formal
from cvm.errors import CVMError

from mrt import memory, ops
from mrt.analysis.ablation import FloatOutputs
from mrt.analysis.costs import layer_costs
from mrt.config import Config
from mrt.executors.device import context
from mrt.executors.mxnet import Executor
from mrt.graph import Array
from mrt.graph.batch import Feed, Samples
from mrt.quantizer.quantize import Quantized
from mrt.report import OfEach, Progress, Report
from mrt.run.batching import Run, bounded, in_pieces, output_axes
from mrt.run.evaluate import compare, evaluate
from mrt.run.examples import Examples
from mrt.run.judge import BY_DATASET, Judge, find_judge
from mrt.run.pictures import Pictures
from mrt.run.prepare import VERIFIED_PICTURES
from mrt.run.products import COMPILED, COSTS, CUT, EVALUATED, FOLDER, JUDGE, NETWORK, PREPARED, QUANTIZED, SAME
from mrt.run.recording import Recording
from mrt.run.sample_source import SampleSource
from mrt.run.speed import latency_ms
from mrt.run.stage import Made, Products, Stage
from mrt.targets.cvm.compiler import Compiled, model_input

logger = logging.getLogger(__name__)


class FindJudge(Stage):
    """Finds what can judge the network's outputs; a metric that does not suit them ends the run before the work."""

    takes = (NETWORK,)
    gives = (JUDGE,)

    def __init__(self, config: Config, pictures: Pictures, skipped: bool = False) -> None:
        """[EVALUATION] Metric says which, and what to evaluate on; if `skipped`, nothing judges them."""
        self._config = config
        self._pictures = pictures
        self._skipped = skipped

    def run(self, have: Products, progress: Progress) -> Made:
        """What judges them; without [EVALUATION], the dataset's own metric."""
        if self._skipped:
            return {JUDGE: Judge(None)}
        settings = self._config.evaluation
        wanted = settings.metric if settings else BY_DATASET
        dataset, start, available = self._pictures.evaluated()
        section = settings or self._config.calibration
        with progress.stage("judge"):
            network = Executor(have[NETWORK], context=context(section))
            return {JUDGE: find_judge(wanted, dataset, start, available, section.batch, network)}


class Evaluate(Stage):
    """Compares float network, integer network and compiled model on the same pictures."""

    takes = (NETWORK, CUT, QUANTIZED, COMPILED, FOLDER, JUDGE)
    gives = (EVALUATED,)

    def __init__(
        self,
        config: Config,
        pictures: Pictures,
        structural: bool = False,
        kept: FloatOutputs | None = None,
        recording: Recording | None = None,
    ) -> None:
        """Of a structural run, the fastest executor alone is evaluated, and no accuracy.

        With `kept`, only the compiled model is, against the float network's outputs that are kept there. With
        `recording`, only the pictures that it is of are evaluated, and their outputs are kept in it.
        """
        self._recording = recording
        self._config = config
        self._pictures = pictures
        self._structural = structural
        self._kept = kept

    def run(self, have: Products, progress: Progress) -> Made:
        """A report with what evaluation measures; an empty one where the configuration asks for none."""
        settings = self._config.evaluation
        report = Report(model=self._config.default.model_name)
        if settings is None or settings.iter_num == 0:
            return {EVALUATED: report}
        network, cut, quantized = have[NETWORK], have[CUT], have[QUANTIZED]
        dataset, start, count = self._pictures.compared()
        twin_num = None if settings.twin_num == -1 else settings.twin_num
        examples = Examples(dataset)
        part = self._recording
        if part:
            start, count = start + part.offset, part.count
            twin_num = None if twin_num is None else max(0, twin_num - part.offset)

        def watch(feed: Feed, labels: Array, floats: Sequence[Array], integers: Sequence[Array]) -> None:
            examples.add(feed, labels, floats, integers)
            if part:
                part.add(feed, labels, floats, integers)

        where = context(settings)
        if self._structural and cut:  # random boxes are near ties, of which any could be first: compare what selects
            network, cut = cut.base, None
        top = Executor(cut.top, context=where) if cut else None

        def finish(outputs: list[Array]) -> list[Array]:
            real = quantized.real(outputs)
            return top(dict(zip(cut.top.inputs, real))) if top and cut else real

        executors = self._executors(have)
        reference: Run = self._kept.outputs if self._kept else bounded(Executor(network, context=where), network)

        def float_run(feed: Feed) -> list[Array]:
            return quantized.meant(reference(feed)) if not cut else reference(feed)

        if not self._kept:
            one = self._pictures.first(1)
            feeds = {"float": one, **dict.fromkeys(executors, quantized.integers(one))}
            runs = {"float": float_run, **executors}
            report.latency_ms = OfEach.model_validate({n: latency_ms(partial(runs[n], feeds[n])) for n in runs})
            memory.trim()
        batches = self._kept.batches() if self._kept else dataset.batches("evaluation", settings.batch, start, count)
        with progress.stage("evaluate", total=count) as step:
            evaluate(
                have[JUDGE].metric,
                batches,
                Samples(network.inputs),
                float_run,
                executors,
                quantized.integers,
                finish,
                report,
                step.advance,
                twin_num,
                watch,
            )
        report.examples = examples.kept
        if self._structural and any(ops.of(node).suppresses for node in network.nodes()):
            report.sqnr_db, report.sqnr_outputs_db = None, []  # near ties, as above
        report.dataset = dataset.name
        report.no_accuracy = report.no_accuracy or have[JUDGE].reason
        report.evaluated, report.calibrated = self._pictures.used("evaluation"), self._pictures.used("calibration")
        return {EVALUATED: report}

    def _executors(self, have: Products) -> dict[str, Run]:
        """The one that computes all pictures first."""
        compiled, folder, quantized = have[COMPILED], have[FOLDER], have[QUANTIZED]
        native = native_run(folder) if compiled and folder else None
        found: dict[str, Run] = {}
        if compiled and (run := native or (None if self._structural else formal_run(compiled, quantized))):
            found["cvm"] = any_batch(run, compiled, quantized)
        if self._kept or (self._structural and found):  # there, the fastest is enough for all but a few pictures
            return found
        exact = {"quantized": twin(quantized, self._config)}
        return {**found, **exact} if native else {**exact, **found}


class Costs(Stage):
    """What each layer loses, on a few pictures; after evaluation, when the network's weights are let go of."""

    takes = (PREPARED, QUANTIZED, EVALUATED)
    gives = (COSTS,)

    def __init__(self, config: Config, samples: SampleSource) -> None:
        """`samples` are what is measured on, where the configuration asks for an evaluation."""
        self._asked = config.evaluation is not None and config.evaluation.iter_num != 0
        self._samples = samples

    def run(self, have: Products, progress: Progress) -> Made:
        """Of every layer; nothing where nothing is to be evaluated."""
        if not self._asked:
            return {COSTS: []}
        with progress.stage("layers"):
            pictures = self._samples.first(VERIFIED_PICTURES)
            return {COSTS: layer_costs(have[PREPARED], have[QUANTIZED], pictures)}


class CompareTwin(Stage):
    """Compares the compiled model with its exact twin on a few pictures, where evaluation did not."""

    takes = (QUANTIZED, COMPILED, FOLDER, EVALUATED, COSTS)
    gives = (SAME,)

    def __init__(self, config: Config, samples: SampleSource) -> None:
        """`samples` are what they compute."""
        self._config = config
        self._samples = samples

    def run(self, have: Products, progress: Progress) -> Made:
        """On how many samples the two differ; None where there is only one of them."""
        compiled, folder, quantized = have[COMPILED], have[FOLDER], have[QUANTIZED]
        native = native_run(folder) if folder else None
        if compiled is None or native is None:
            return {SAME: have[EVALUATED].bit_exact}
        pictures = self._samples.first(VERIFIED_PICTURES)
        integers = quantized.integers(pictures)
        exact, found = twin(quantized, self._config)(integers), any_batch(native, compiled, quantized)(integers)
        return {SAME: compare(exact, found, Samples(quantized.graph.inputs).count(pictures))}


def twin(quantized: Quantized, config: Config) -> Run:
    """The integer network on MXNet, exact."""
    run = Executor(quantized.graph, dtype="float64", context=context(config.quantization))
    return bounded(run, quantized.graph)


def any_batch(run: Run, compiled: Compiled, quantized: Quantized) -> Run:
    """A compiled model takes any batch where that is the first axis, else the one that it was compiled for."""
    samples = Samples(quantized.graph.inputs)
    if len(samples.axes) > 1:
        return run
    (axis,) = samples.axes.values()
    if axis == 0:
        return run
    return in_pieces(run, samples, compiled.batch, output_axes(quantized.graph))


def formal_run(compiled: Compiled, quantized: Quantized) -> Run:
    """The compiled model on the target's specification, slowly."""
    return lambda feed: formal.run(compiled.model, model_input(quantized, feed))


def native_run(folder: Path) -> Run | None:
    """The compiled model on the native runtime, or None, with a warning, where that was not built."""
    try:
        native = cvm.load(folder)
    except CVMError as error:
        logger.warning("the compiled model does not run natively: %s", error)
        return None

    def call(feed: Feed) -> list[Array]:
        outputs = native(feed)
        return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]

    return call
