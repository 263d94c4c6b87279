"""Measures what each operator's quantization costs the network, and why.

For each operator (`mrt.analysis.isolate`): the float network with only this operator in integers, and the integer one
with only this operator left in float. What its own output loses is then taken apart, on the float network's tensors:

- range: the input rounded, not saturated, then the float operator: the step is too coarse for what the tensor holds;
- clipping: the input saturated, not rounded, then the float operator;
- rounding: the exact input, then the integer weights;
- scale error: what the integers differ by beyond these: bias, multiplier, tables, and the rounding of the output where
  it is stored in 16 bits.

All of it runs on MXNet in float32: the operators' own integer nodes, not a model of them, but sums beyond 2^24 are
rounded there. Only `evaluate` says what the integer network does to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

from mrt import ops
from mrt.analysis.agreement import Agreement
from mrt.analysis.isolate import Twins, Unit, to_integers, to_real
from mrt.analysis.pieces import Piece, Suffix
from mrt.datasets.metric import Metric
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Node, Shape, Value
from mrt.graph.batch import Feed, Samples, fitting
from mrt.quantizer.cheap import multiply_accumulates
from mrt.quantizer.quantize import Quantized
from mrt.report.sensitivity import CAUSES, Effect, OperatorSensitivity

_BUDGET_BYTES = 384 * 2**20

Batches = Iterable[tuple[Feed, Array]]


@dataclass
class Tally:
    """Compares a network's outputs with the float network's, over batches."""

    metric: Metric | None
    agreement: Agreement = field(default_factory=Agreement)

    def add(self, labels: Array, reference: Sequence[Array], outputs: Sequence[Array]) -> None:
        """One batch."""
        self.agreement.add(len(labels), reference, outputs)
        if self.metric:
            self.metric.update(labels, self.metric.select(outputs))

    def effect(self) -> Effect:
        """What was measured."""
        ratios = [ratio for ratio in self.agreement.noise_ratios() if ratio is not None]
        return Effect(
            noise=float(np.mean(ratios)) if ratios else 0.0,
            agreement=self.agreement.share,
            score=next(iter(self.metric.values().values())) if self.metric else None,
        )


@dataclass(frozen=True)
class Measured:
    """The whole network, and each of its operators in the network's order."""

    pictures: int
    metric: str | None
    float_score: float | None
    quantized: Effect
    operators: list[OperatorSensitivity]


class _Probe:
    """One operator under measurement."""

    def __init__(self, twins: Twins, unit: Unit, metric: Callable[[], Metric] | None, alone_too: bool) -> None:
        self.unit = unit
        self.only = twins.only(unit)
        self.left = twins.left(unit) if alone_too else None
        self.only_tally = Tally(metric() if metric else None)
        self.left_tally = Tally(metric() if metric else None)
        self._float = twins.float_of(unit)
        self._integers = twins.integers_of(unit)
        self._linear = twins.integers_of(unit, before_rounding=True) if unit.layer else None
        self._lost = dict.fromkeys(CAUSES, 0.0)
        self._largest, self._squares, self._count = 0.0, 0.0, 0

    def reads(self) -> list[Value]:
        return [*self.only.piece.reads, *(value for value, _ in self.unit.reads), Value(self.unit.node)]

    def take_apart(self, real: dict[Value, Array]) -> None:
        """Add a batch's losses at the operator's output, by cause."""
        reads = [(value, q, real[value]) for value, q in self.unit.reads]

        def computed(rounded: bool, clipped: bool) -> Array:
            given = {value: to_real(to_integers(data, q, rounded, clipped), q) for value, q, data in reads}
            return _run(self._float, given)

        def integers(piece: Piece, rounded: bool) -> Array:
            return _run(piece, {q.tensor.value: to_integers(data, q, rounded, rounded) for _, q, data in reads})

        expected = real[Value(self.unit.node)].astype(np.float64)
        weights = integers(self._linear, False) - expected if self._linear else np.zeros(())
        self._lost["range"] += _power(computed(True, False) - expected)
        self._lost["clipping"] += _power(computed(False, True) - expected)
        self._lost["rounding"] += _power(weights)
        self._lost["scale error"] += _power(integers(self._integers, True) - computed(True, True) - weights)
        for _, _, data in reads:
            self._largest = max(self._largest, float(np.abs(data).max()))
            self._squares += _power(data)
            self._count += data.size

    def result(self, macs: int, reads_input: bool) -> OperatorSensitivity:
        total = sum(self._lost.values()) or 1.0
        return OperatorSensitivity(
            name=_name(self.unit),
            operator=self.unit.node.op,
            only=self.only_tally.effect(),
            left=self.left_tally.effect() if self.left else None,
            causes={cause: lost / total for cause, lost in self._lost.items()},
            peak=self._largest / max((self._squares / max(self._count, 1)) ** 0.5, 1e-30),
            macs=macs,
            reads_input=reads_input,
        )


def operators_of(prepared: Graph, quantized: Quantized) -> list[str]:
    """The names of the operators that `measure` measures."""
    return [_name(unit) for unit in Twins(prepared, quantized).units]


def _name(unit: Unit) -> str:
    return unit.node.name.split(" ", 1)[1]


def measure(
    prepared: Graph,
    quantized: Quantized,
    batches: Batches,
    metric: Callable[[], Metric] | None,
    left_too: bool = True,
    advance: Callable[[int], None] = lambda count: None,
) -> Measured:
    """Measure every operator of a network.

    Args:
        prepared: the float graph that was quantized.
        quantized: as `quantize` returned it, not from a checkpoint.
        batches: preprocessed data and labels; cut so that what is kept of one piece fits in a fixed budget of memory.
        metric: makes what judges the outputs; None leaves scores out.
        left_too: also leave each operator in float, which takes most of the time.
        advance: called with the number of operators times pictures that are done.
    """
    twins = Twins(prepared, quantized)
    probes = [_Probe(twins, unit, metric, left_too) for unit in twins.units]
    reals, integers = _needed(probes, twins)
    run_real = Executor(twins.real, [*twins.real.outputs, *reals])
    run_integer = Executor(twins.integer, [*twins.integer.outputs, *integers])
    whole, float_metric = Tally(metric() if metric else None), metric() if metric else None
    for feed, labels in _pieces(batches, prepared, twins, reals, integers):
        real_inputs = _by_value(twins.real, feed)
        expected, real = _computed(run_real, twins.real, reals, real_inputs)
        raw, environment = _computed(
            run_integer, twins.integer, integers, _by_value(twins.integer, quantized.integers(feed))
        )
        environment.update(real_inputs)
        outputs = quantized.real(raw)
        whole.add(labels, expected, outputs)
        if float_metric:
            float_metric.update(labels, float_metric.select(expected))
        for probe in probes:
            probe.only_tally.add(labels, expected, probe.only(real, expected))
            if probe.left:
                left = quantized.real(probe.left(environment, raw))
                probe.left_tally.add(labels, expected, left)
            probe.take_apart(real)
            advance(len(labels))
    shapes = infer_shapes(twins.real)
    inputs = twins.moved_input()
    metric_name, float_score = next(iter(float_metric.values().items())) if float_metric else (None, None)
    return Measured(
        whole.agreement.samples,
        metric_name,
        float_score,
        whole.effect(),
        [
            probe.result(_macs(probe.unit.node, twins.real, shapes), any(v in inputs for v, _ in probe.unit.reads))
            for probe in probes
        ],
    )


def _needed(probes: Sequence[_Probe], twins: Twins) -> tuple[list[Value], list[Value]]:
    """The tensors of the float and of the integer network that the probes are fed with, but for the inputs."""
    reals = dict.fromkeys(value for probe in probes for value in probe.reads())
    known = set(twins.real.nodes())
    left = dict.fromkeys(v for probe in probes if isinstance(probe.left, Suffix) for v in probe.left.piece.reads)
    return (
        [value for value in reals if value.node.name not in twins.real.inputs],
        [v for v in left if v.node.name not in twins.integer.inputs and v.node not in known],
    )


def _by_value(graph: Graph, feed: Feed) -> dict[Value, Array]:
    """A batch by the values of the graph's inputs, which come in the order of the network's own."""
    nodes = {node.name: node for node in graph.nodes() if node.name in graph.inputs}
    arrays = list(feed.values()) if isinstance(feed, Mapping) else [feed]
    return {Value(nodes[name]): array for name, array in zip(graph.inputs, arrays)}


def _computed(
    run: Executor, graph: Graph, values: Sequence[Value], given: Mapping[Value, Array]
) -> tuple[list[Array], dict[Value, Array]]:
    """The network's outputs, and every value that is known by then."""
    arrays = run({value.node.name: array for value, array in given.items()})
    count = len(graph.outputs)
    return arrays[:count], {**given, **dict(zip(values, arrays[count:]))}


def _pieces(
    batches: Batches, prepared: Graph, twins: Twins, reals: Sequence[Value], integers: Sequence[Value]
) -> Batches:
    shapes = {**infer_shapes(twins.real), **infer_shapes(twins.integer)}
    piece = fitting((shapes[value] for value in (*reals, *integers)), _BUDGET_BYTES)
    samples = Samples(prepared.inputs)
    for feed, labels in batches:
        ordered = {name: feed[name] for name in prepared.inputs} if isinstance(feed, Mapping) else feed
        for part, which in zip(samples.pieces(ordered, piece), samples.parts(ordered, piece)):
            yield part, labels[which]


def _run(piece: Piece, given: dict[Value, Array]) -> Array:
    (output,) = piece(given)
    return output.astype(np.float64)


def _power(array: Array) -> float:
    return float(np.sum(np.square(array, dtype=np.float64)))


def _macs(node: Node, graph: Graph, shapes: Mapping[Value, Shape]) -> int:
    return multiply_accumulates(node, graph, shapes) if ops.layer(node) else 0
