"""Finds the few layers to which 8 bits of their input or weights do most harm, and that can be given 16 at little cost.

One such layer can lose more than all others together: a depthwise convolution behind an activation with a long tail
reads an input whose largest value is many times its usual one; one that amplifies a channel, to be clamped, needs exact
weights. What is left after equalization and gains is found by
its cost at the layer's own output (`mrt.quantizer.input_cost`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mrt.calibrate.gather import constant_layers, layer_patches
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node
from mrt.graph.batch import Feed
from mrt.integer.form import ExtraBits
from mrt.quantizer.annotate import annotate
from mrt.quantizer.cheap import multiply_accumulates
from mrt.quantizer.input_cost import WEIGHTS, input_costs, steep_readers
from mrt.quantizer.quantize import QuantizeSettings
from mrt.statistics.tensor import Statistics

_POOR = 10**-3.0  # of a layer's output's power, lost by rounding its input, or its weights
_POOR_STEP = 10**-3.5  # likewise where all but a step is made of the output: there, errors are of whole entries
_SHARE_OF_MACS = 0.03
_FREE_MACS = 10**6  # some microseconds, whatever part of a small network that is
_POSITIONS = 64
_INPUT = "input"


def poor_layers(
    graph: Graph,
    statistics: Mapping[str, Statistics],
    settings: QuantizeSettings,
    batches: Iterable[Feed],
    context: Any | None = None,
) -> ExtraBits:
    """Extra bits for the inputs, or the weights, of the layers that lose most, within a small share of the work.

    Args:
        graph: the prepared network.
        statistics: of its tensors.
        settings: how it is quantized otherwise.
        batches: pictures to measure on.
        context: MXNet device.
    """
    annotation = annotate(
        graph, statistics, settings.coverage, settings.extra, settings.offsets, settings.input_precision
    )
    shapes, layers = infer_shapes(graph), constant_layers(graph)
    given = settings.extra.inputs | set(settings.bits)
    first = {layer for layer in layers if layer.inputs[0].node.name in graph.inputs}
    steep = steep_readers(graph, layers)
    free = [layer for layer in layers if layer.name not in given and (layer in steep or layer not in first)]
    targets = {_INPUT: {layer: annotation.narrow(layer.inputs[0]) for layer in free}}
    costs = input_costs(graph, targets, layer_patches(graph, free, batches, _POSITIONS, context))
    left = max(_SHARE_OF_MACS * sum(multiply_accumulates(layer, graph, shapes) for layer in layers), _FREE_MACS)
    chosen: dict[str, set[str]] = {_INPUT: set(), WEIGHTS: set()}
    by_cost = sorted(((cost, which, layer) for layer in free for which, cost in costs[layer].items()), key=_first)
    for cost, which, layer in reversed(by_cost):
        macs = multiply_accumulates(layer, graph, shapes)
        poor = cost > (_POOR_STEP if layer in steep else _POOR)
        if poor and macs <= left and not (which == _INPUT and layer in first):  # the input has its own precision
            chosen[which].add(layer.name)
            left -= macs
    return ExtraBits(frozenset(chosen[_INPUT]), frozenset(chosen[WEIGHTS]))


def _first(item: tuple[float, str, Node]) -> float:
    return item[0]
