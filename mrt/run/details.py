"""What a report keeps beside its numbers, gathered of what other stages leave: see `mrt.report.details`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mrt import ops
from mrt.graph import Graph, Node, Value
from mrt.integer.qvalue import QValue
from mrt.quantizer.quantize import Quantized
from mrt.report import LayerCost, Progress
from mrt.report.details import Fused, LayerNoise, Spread
from mrt.run.products import BASE, COSTS, FUSED, PREPARED, QUANTIZED, SPREADS, STATISTICS
from mrt.run.stage import Made, Products, Stage
from mrt.statistics.tensor import Statistics

_BINS = 48
_NARROWEST = 1e-9  # of a tensor that is one number, relative to it: what bins can be told apart in
_WORST = 4
_MOST_DB = 200.0
_INPUT = "null"
_MOST_OUTPUTS = 8


class Fusions(Stage):
    """What of the network became one operator; before evaluation, when the network's weights are let go of."""

    takes = (BASE, PREPARED, QUANTIZED)
    gives = (FUSED,)

    def run(self, have: Products, progress: Progress) -> Made:
        """Counted by operators."""
        return {FUSED: list(_fused(have[BASE], have[PREPARED], have[QUANTIZED]))}


class Spreads(Stage):
    """What calibration saw of the inputs and of the tensors that lose most, with the range of their integers."""

    takes = (PREPARED, STATISTICS, QUANTIZED, COSTS)
    gives = (SPREADS,)

    def run(self, have: Products, progress: Progress) -> Made:
        """The inputs first, then the worst."""
        prepared, statistics = have[PREPARED], have[STATISTICS]
        stored = {value.name: q for value, q in have[QUANTIZED].stored.items()}
        late = _after_suppression(prepared)
        costs = have[COSTS]
        worst = [cost.node for cost in sorted(costs, key=lambda cost: -cost.added) if cost.node not in late]
        names = [name for name in (*prepared.inputs, *worst) if name in stored and name in statistics]
        found: list[Spread] = []
        for name in names:
            spread = _spread(name, statistics[name], stored[name])
            if all(spread.counts != other.counts for other in found):  # of tensors with the same values, the first
                found.append(spread)
            if len(found) == len(prepared.inputs) + _WORST:
                break
        return {SPREADS: found}


def layer_noise(costs: list[LayerCost], prepared: Graph) -> list[LayerNoise]:
    """Each layer's, but what comes after the suppression of boxes: of two that are alike, either may be first."""
    late = _after_suppression(prepared)
    return [
        LayerNoise(node=c.node, operator=c.operator, sqnr_db=round(c.sqnr_db, 2) if c.sqnr_db < _MOST_DB else None)
        for c in costs
        if c.node not in late
    ]


def _after_suppression(graph: Graph) -> set[str]:
    """The names of the values that suppression gives, or that are made of them."""
    late: set[Node] = set()
    for node in graph.nodes():
        if not node.is_variable and (ops.of(node).suppresses or any(value.node in late for value in node.inputs)):
            late.add(node)
    return {Value(node, index).name for node in late for index in range(_MOST_OUTPUTS)}


def _fused(network: Graph, prepared: Graph, quantized: Quantized) -> Iterator[Fused]:
    operators = {node.name: node.op for node in network.nodes()}
    counted: Counter[tuple[tuple[str, ...], str]] = Counter()
    for node in prepared.nodes():
        parts = tuple(operators[name] for name in node.origin if operators.get(name, _INPUT) != _INPUT)
        if not node.is_variable and len(parts) > 1:
            counted[parts, node.op] += 1
    for value in quantized.computed:
        if value not in quantized.stored and not value.node.is_variable:
            counted[(value.node.op, "clamp"), "saturation of its result"] += 1
    for (parts, into), count in counted.most_common():
        yield Fused(operators=list(parts), into=into, count=count)


def _spread(name: str, statistics: Statistics, q: QValue) -> Spread:
    """`_BINS` bins over what was seen."""
    histogram = statistics.histogram
    first = statistics.minimum
    last = max(statistics.maximum, first + max(abs(first) * _NARROWEST, float(np.finfo(np.float32).tiny)))
    counts, _ = np.histogram(np.clip(histogram.centers, first, last), _BINS, (first, last), weights=histogram.counts)
    ends = q.real(np.array([[int(q.tensor.range.min())], [int(q.tensor.range.max())]]))  # of pixels, in each channel
    return Spread(
        tensor=name,
        first=first,
        last=last,
        counts=[int(count) for count in counts],
        low=float(ends.min()),
        high=float(ends.max()),
        bits=q.tensor.bits,
    )
