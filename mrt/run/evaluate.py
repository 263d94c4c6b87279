"""Compares the float network, the integer graph on MXNet and the compiled model on the same data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from cvm import quantization

from mrt.datasets.detection_metric import DetectionMetric
from mrt.datasets.metric import Metric
from mrt.graph import Array
from mrt.quantizer.quantize import TensorInfo
from mrt.report import BitExact, Latency, Report

logger = logging.getLogger(__name__)

Run = Callable[[Array], list[Array]]


@dataclass
class Contender:
    """One way to run the network, judged by the dataset's metric."""

    name: str
    run: Run
    metric: Metric | None
    seconds: float = 0.0

    def judge(self, labels: Array, outputs: Sequence[Array]) -> None:
        """Adds a batch to the metric."""
        if self.metric:
            self.metric.update(labels, self.metric.select(outputs))

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Adds the time spent inside."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


@dataclass
class _Agreement:
    samples: int = 0
    same_class: int = 0
    signal: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    classes: bool = True
    iterations: int = field(default=0)

    def add(self, references: Sequence[Array], others: Sequence[Array]) -> None:
        """Compare one batch of real outputs."""
        reference, other = references[0], others[0]
        self.samples += len(reference)
        self.classes &= reference.ndim == 2
        if self.classes:
            self.same_class += int((reference.argmax(axis=1) == other.argmax(axis=1)).sum())
        signal = [float(np.sum(np.square(array, dtype=np.float64))) for array in references]
        noise = [float(np.sum(np.square(a.astype(np.float64) - b))) for a, b in zip(references, others)]
        self.signal = np.add(signal, self.signal or 0.0).tolist()
        self.noise = np.add(noise, self.noise or 0.0).tolist()

    def sqnr_db(self) -> list[float | None]:
        """Of each output; None where nothing was lost, or there was no signal."""
        return [10 * float(np.log10(s / n)) if s and n else None for s, n in zip(self.signal, self.noise)]


def compare(one: Sequence[Array], two: Sequence[Array]) -> BitExact:
    """Count the samples on which the outputs of two integer executors differ anywhere."""
    same = np.ones(len(one[0]), dtype=bool)
    for a, b in zip(one, two):
        same &= (np.asarray(a).astype(np.int64) == np.asarray(b).astype(np.int64)).reshape(len(a), -1).all(axis=1)
    return BitExact(samples=len(same), mismatches=int((~same).sum()))


def quantize_input(data: Array, info: TensorInfo) -> Array:
    """Real input to the integers that the model takes, as the runtime's own `quantize_input` does."""
    return quantization.quantize(data, float(info.scale), info.offset, info.precision)


def dequantize(array: Array, info: TensorInfo) -> Array:
    """Integers to real numbers: scale * (q + offset)."""
    return quantization.dequantize(array, float(info.scale), info.offset)


def in_pieces(run: Run, axis: int, size: int) -> Run:
    """`run`, `size` samples at a time along the batch axis; the last piece is filled up with its own last sample."""

    def call(data: Array) -> list[Array]:
        count = data.shape[axis]
        padded = np.take(data, np.minimum(np.arange(-(-count // size) * size), count - 1), axis)
        pieces = [run(piece) for piece in np.split(padded, padded.shape[axis] // size, axis)]
        return [np.concatenate(parts)[:count] for parts in zip(*pieces)]

    return call


def evaluate(
    metric: Callable[[], Metric] | None,
    batches: Iterator[tuple[Array, Array]],
    float_run: Run,
    integer_runs: dict[str, Run],
    input_info: TensorInfo,
    finish: Callable[[list[Array]], list[Array]],
    report: Report,
    advance: Callable[[int], None],
) -> None:
    """Fill in the report's accuracies, agreement, bit-exactness and latencies.

    Args:
        metric: makes what judges the outputs; None leaves accuracy out, and so does, with a warning, one that does not
            suit the network's outputs.
        batches: preprocessed data and labels.
        float_run: the float network.
        integer_runs: executors of the integer model, by name; all are compared with the first.
        input_info: how the model's input is quantized.
        finish: integer outputs to the network's real outputs.
        report: is changed.
        advance: called with the samples done.
    """
    reference, *integers = (
        Contender(name, run, metric() if metric else None) for name, run in {"float": float_run, **integer_runs}.items()
    )
    agreement = _Agreement()
    for data, labels in batches:
        with reference.timed():
            expected = reference.run(data)
        if reference.metric and not reference.metric.suits(labels, expected):
            shapes = ", ".join(str(output.shape[1:]) for output in expected)
            logger.warning("outputs of shape %s are no scores of the dataset's classes: accuracy is left out", shapes)
            for contender in (reference, *integers):
                contender.metric = None
        reference.judge(labels, expected)
        quantized = quantize_input(data, input_info)
        results: list[list[Array]] = []
        for contender in integers:
            with contender.timed():
                results.append(contender.run(quantized))
            real = finish(results[-1])
            contender.judge(labels, real)
            if contender is integers[0]:
                agreement.add(expected, real)
            else:
                report.bit_exact = compare(results[0], results[-1]) + report.bit_exact
        agreement.iterations += 1
        advance(len(labels))
    contenders = [reference, *integers]
    report.samples, report.iterations = agreement.samples, agreement.iterations
    report.accuracy = {contender.name: contender.metric.values() for contender in contenders if contender.metric}
    report.agreement = agreement.same_class / agreement.samples if agreement.classes else None
    if not isinstance(reference.metric, DetectionMetric):  # boxes come by score, of which any of two alike may be first
        report.sqnr_outputs_db = agreement.sqnr_db()
        report.sqnr_db = report.sqnr_outputs_db[0]
    latency = {c.name: 1000 * c.seconds / agreement.samples for c in contenders}
    report.latency_ms = Latency(float=latency.get("float"), quantized=latency.get("quantized"), cvm=latency.get("cvm"))
