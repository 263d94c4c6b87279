"""Finds the layers in which an integer network loses most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.executors.mxnet import Executor
from mrt.graph import Graph, Node, Value
from mrt.graph.batch import Feed, Samples, float_bytes, runs
from mrt.integer.qvalue import QValue
from mrt.quantizer.quantize import Quantized
from mrt.report import LayerCost

_LIST = 5
_EXACT = 1e-30  # a ratio that stands for nothing lost
_BUDGET_BYTES = 128 * 2**20


def layer_costs(prepared: Graph, quantized: Quantized, pictures: Feed) -> list[LayerCost]:
    """What each stored tensor of the prepared network loses, in the order of the network.

    A tensor's noise-to-signal ratio is sum (float - dequantized)^2 / sum float^2. What a layer adds is its output's
    ratio less the largest of its inputs'.

    Args:
        prepared: the float graph that was quantized.
        quantized: as `quantize` returned it, not from a checkpoint.
        pictures: preprocessed input; tensors are held for one of them at a time, as many as fit in a fixed budget.
    """
    alive = set(quantized.graph.nodes())
    pairs = [
        (value, q)
        for value, q in quantized.stored.items()
        if not value.node.is_variable and q.tensor.value.node in alive
    ]
    ratio: dict[Value, float] = {}
    for group in runs(pairs, lambda pair: float_bytes([pair[1].tensor.shape]), _BUDGET_BYTES):
        ratio.update(_noise_ratios(prepared, quantized, pictures, group))
    before: dict[Node, float] = {}
    for node in prepared.nodes():  # a tensor that a clamp absorbs is not stored: what it is made of stands in
        before[node] = max((ratio.get(value, before[value.node]) for value in node.inputs), default=0.0)
    return [
        LayerCost(
            node=value.name,
            operator=value.node.op,
            sqnr_db=-10 * float(np.log10(max(own, _EXACT))),
            added=own - before[value.node],
        )
        for value, own in ratio.items()
    ]


def costly(costs: Sequence[LayerCost], count: int = _LIST) -> list[LayerCost]:
    """Those that add most noise, the worst first."""
    return [cost for cost in sorted(costs, key=lambda cost: -cost.added)[:count] if cost.added > 0]


def _noise_ratios(
    prepared: Graph, quantized: Quantized, pictures: Feed, pairs: Sequence[tuple[Value, QValue]]
) -> dict[Value, float]:
    """Each tensor's noise-to-signal ratio over all pictures."""
    floats = Executor(prepared, [value for value, _ in pairs])
    # float32 is not exact for integers above 2^24, but near enough for decibels, in half the memory.
    integers = Executor(quantized.graph, [q.tensor.value for _, q in pairs])
    noise, signal = np.zeros(len(pairs)), np.zeros(len(pairs))
    for picture in Samples(prepared.inputs).pieces(pictures, 1):
        both = zip(pairs, floats(picture), integers(quantized.integers(picture)))
        for index, ((_, q), real, integer) in enumerate(both):
            exact = real.astype(np.float64)  # whose squares may be below what float32 holds
            noise[index] += np.sum(np.square(exact - q.real(integer)))
            signal[index] += np.sum(np.square(exact))
    return {value: float(n / max(s, np.finfo(np.float64).tiny)) for (value, _), n, s in zip(pairs, noise, signal)}
