"""Finds the layers in which an integer network loses most."""

from __future__ import annotations

import numpy as np

from mrt.graph import Array, Graph, Node
from mrt.graph.execute import Executor
from mrt.quantize.quantizer import Quantized
from mrt.report import LayerCost
from mrt.stages.evaluate import quantize_input

_LIST = 5


def costly_layers(prepared: Graph, quantized: Quantized, pictures: Array, count: int = _LIST) -> list[LayerCost]:
    """The layers that add most quantization noise, the worst first.

    A tensor's noise-to-signal ratio is sum (float - dequantized)^2 / sum float^2. What a layer adds is its output's
    ratio less the largest of its inputs'.

    Args:
        prepared: the float graph that was quantized.
        quantized: as `quantize` returned it, not from a checkpoint.
        pictures: preprocessed input; every tensor of the network is held for all of them at once.
        count: how many to name.
    """
    alive = set(quantized.graph.nodes())
    pairs = [
        (value, q)
        for value, q in quantized.stored.items()
        if not value.node.is_variable and q.tensor.value.node in alive
    ]
    floats = Executor(prepared, [value for value, _ in pairs])(pictures)
    # float32 is not exact for integers above 2^24, but near enough for decibels, in half the memory.
    integers = Executor(quantized.graph, [q.tensor.value for _, q in pairs])(quantize_input(pictures, quantized.input))
    ratio = {}
    for (value, q), real, integer in zip(pairs, floats, integers):
        noise = real - (integer + q.offset) * float(q.scale)
        ratio[value] = float(np.sum(np.square(noise)) / max(np.sum(np.square(real, dtype=np.float64)), 1e-30))
    before: dict[Node, float] = {}
    for node in prepared.nodes():  # a tensor that a clamp absorbs is not stored: what it is made of stands in
        before[node] = max((ratio.get(value, before[value.node]) for value in node.inputs), default=0.0)
    added = {value: own - before[value.node] for value, own in ratio.items()}
    worst = sorted(added, key=lambda value: -added[value])[:count]
    return [
        LayerCost(
            node=value.name,
            operator=value.node.op,
            sqnr_db=-10 * float(np.log10(max(ratio[value], 1e-30))),
            added=added[value],
        )
        for value in worst
        if added[value] > 0
    ]
