"""Compares the float network, the compiled model and the integer graph on MXNet on the same data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from mrt.analysis.agreement import Agreement
from mrt.datasets.detection_metric import DetectionMetric
from mrt.datasets.metric import Interval, Metric
from mrt.errors import MRTError
from mrt.graph import Array
from mrt.graph.batch import Feed, Samples
from mrt.report import BitExact, OfEach, Report
from mrt.run.batching import Run
from mrt.run.speed import ahead

logger = logging.getLogger(__name__)

_SILENT = 1e-12


class _Timed:
    """A way to run the network, and the time that it takes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._samples, self._seconds = 0, 0.0

    def __call__(self, feed: Feed, samples: int) -> list[Array]:
        """The outputs for a batch of `samples`."""
        start = time.perf_counter()
        found = self._run(feed)
        self._seconds += time.perf_counter() - start
        self._samples += samples
        return found

    @property
    def per_second(self) -> float | None:
        """Samples, over all batches."""
        return self._samples / self._seconds if self._seconds else None


class _Judged:
    """What a metric says of the float network and of the integer model; nothing from the first misfit on."""

    def __init__(self, metric: Callable[[], Metric] | None) -> None:
        self._metrics = [metric(), metric()] if metric else []
        self.percent = all(metric.percent for metric in self._metrics)
        self.detection = any(isinstance(metric, DetectionMetric) for metric in self._metrics)
        self.misfit: str | None = None

    def add(self, labels: Array, *outputs: Sequence[Array]) -> None:
        """One batch: the outputs of the float network, then the model's."""
        try:
            for metric, found in zip(self._metrics, outputs):
                metric.update(labels, metric.select(found))
        except MRTError as error:
            logger.warning("accuracy is left out: %s", error)
            self._metrics, self.misfit = [], str(error)

    def values(self) -> list[dict[str, float]]:
        """Of both; empty where there is no metric."""
        return [metric.values() for metric in self._metrics]

    def intervals(self) -> dict[str, Interval]:
        """The 95 % intervals of the integer model's values, where the metric knows them."""
        return self._metrics[-1].intervals() if self._metrics else {}

    def losses(self) -> dict[str, Interval]:
        """The 95 % intervals of what the integers lose of each value, likewise."""
        return self._metrics[-1].losses(self._metrics[0]) if self._metrics else {}


def compare(one: Sequence[Array], two: Sequence[Array], samples: int) -> BitExact:
    """Count the samples on which the outputs of two integer executors differ anywhere.

    Where an output has another first axis than the samples, any difference counts for all of them.
    """
    same = np.ones(samples, dtype=bool)
    for a, b in zip(one, two):
        equal = np.asarray(a).astype(np.int64) == np.asarray(b).astype(np.int64)
        same &= equal.reshape(samples, -1).all(axis=1) if len(equal) == samples else equal.all()
    return BitExact(samples=samples, mismatches=int((~same).sum()))


def evaluate(
    metric: Callable[[], Metric] | None,
    batches: Iterable[tuple[Feed, Array]],
    samples: Samples,
    float_run: Run,
    integer_runs: Mapping[str, Run],
    quantized: Callable[[Feed], Feed],
    finish: Callable[[list[Array]], list[Array]],
    report: Report,
    advance: Callable[[int], None],
    twin_num: int | None = None,
    watch: Callable[[Feed, Array, Sequence[Array], Sequence[Array]], None] = lambda *_: None,
) -> None:
    """Fill in the report's accuracies, agreement, bit-exactness and throughputs.

    The first of the integer runs computes every batch. The others check it: on the first `twin_num` samples, every
    integer must be the same; on the rest, it stands for them.

    Args:
        metric: makes what judges the outputs; None leaves accuracy out.
        batches: preprocessed data and labels; made in a thread of their own, beside the computation.
        samples: where the samples of a batch are.
        float_run: the float network.
        integer_runs: executors of the integer model, by name.
        quantized: real input to the integers that the model reads.
        finish: integer outputs to the network's real outputs.
        report: is changed.
        advance: called with the samples done.
        twin_num: None checks all.
        watch: is shown each batch: data, labels, the float network's outputs and the model's.

    Raises:
        MRTError: there are no pictures, or the float network's outputs are not finite.
    """
    reference, (main, *twins) = _Timed(float_run), [_Timed(run) for run in integer_runs.values()]
    judged, agreement, exact, iterations = _Judged(metric), Agreement(), BitExact(samples=0, mismatches=0), 0
    for feed, labels in ahead(iter(batches)):
        count = samples.count(feed)
        expected = reference(feed, count)
        if not all(np.isfinite(output).all() for output in expected):
            last = agreement.samples + count - 1
            raise MRTError(
                f"evaluation: the float network's outputs for pictures {agreement.samples} to {last} are not finite; "
                "check them and the preprocessing"
            )
        integers = quantized(feed)
        result = main(integers, count)
        checked = count if twin_num is None else min(count, max(0, twin_num - agreement.samples))
        if twins and checked:
            part = integers if checked == count else samples.take(integers, range(checked))
            own = result if checked == count else main(part, checked)
            for twin in twins:
                exact += compare(own, twin(part, checked), checked)
        real = finish(result)
        judged.add(labels, expected, real)
        watch(feed, labels, expected, real)
        agreement.add(count, expected, real)
        iterations += 1
        advance(count)
    report.samples, report.iterations = agreement.samples, iterations
    report.bit_exact = exact if exact.samples else None
    names = dict(zip(("float", *integer_runs), (reference, main, *twins)))
    report.throughput = OfEach.model_validate({name: timed.per_second for name, timed in names.items()})
    scores = judged.values()
    if scores:
        standing = list(integer_runs)[: 1 if exact.mismatches else None]  # equal integers, equal accuracy
        report.accuracy = {"float": scores[0], **dict.fromkeys(standing, scores[1])}
    report.no_accuracy = judged.misfit or report.no_accuracy
    report.percent = judged.percent
    report.agreement, report.agreement_per_pixel = agreement.share, agreement.per_pixel
    report.agreement_map_iou = agreement.map_iou
    report.intervals, report.loss_intervals = judged.intervals(), judged.losses()
    if not judged.detection:  # boxes come by score, of which any of two alike is first
        report.sqnr_outputs_db = agreement.sqnr_db()
        report.sqnr_db = next(iter(report.sqnr_outputs_db), None)
    if exact.mismatches:
        logger.error("the integer executors differ on %d of %d pictures", exact.mismatches, exact.samples)
    if agreement.largest < _SILENT:
        logger.warning("the network's outputs are all but zero (%.0e at most): no figure says much", agreement.largest)
