"""Chooses each tensor's calibrator by what it costs at the output of the layers that read the tensor.

The cost is that of `mrt.quantizer.input_cost`, with the form that the calibrator's range means. Tensors that share a
scale share a calibrator: the one of the least sum over all layers that read one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable

from mrt.calibrate.gather import constant_layers, layer_patches
from mrt.calibrate.thresholds import CALIBRATORS, LAMBDA
from mrt.graph import Graph, Node, Value
from mrt.graph.batch import Feed
from mrt.integer.qvalue import Target
from mrt.quantizer.annotate import annotate
from mrt.quantizer.input_cost import input_costs
from mrt.quantizer.quantize import QuantizeSettings
from mrt.statistics.tensor import Statistics

_POSITIONS = 64


def choose_calibrators(
    graph: Graph,
    statistics: Mapping[str, Statistics],
    settings: QuantizeSettings,
    batches: Iterable[Feed],
    context: Any | None = None,
    advance: Callable[[int], None] | None = None,
) -> dict[str, str]:
    """The name of the best calibrator, by tensor, of those that a layer reads and the settings say nothing of."""
    layers = [layer for layer in constant_layers(graph) if layer.name not in settings.extra.inputs]
    names = [*CALIBRATORS] + ([LAMBDA] if settings.coverage.lambda_ is not None else [])
    targets = {name: _targets(graph, statistics, settings, name, layers) for name in names}
    costs = input_costs(graph, targets, layer_patches(graph, layers, batches, _POSITIONS, context, advance))
    annotation = annotate(graph, statistics)
    total: dict[tuple[Value, ...], dict[str, float]] = {}
    for layer in layers:
        known = total.setdefault(annotation.sharing(layer.inputs[0]), dict.fromkeys(names, 0.0))
        known.update({name: known[name] + costs[layer][name] for name in names})
    best = {tensors: min(cost, key=cost.__getitem__) for tensors, cost in total.items()}
    settled = settings.coverage.settled
    return {tensor.name: name for tensors, name in best.items() for tensor in tensors if not settled(tensor)}


def _targets(
    graph: Graph, statistics: Mapping[str, Statistics], settings: QuantizeSettings, name: str, layers: list[Node]
) -> dict[Node, Target]:
    """The form in which each layer reads its input where the calibrator of that name decides."""
    coverage = settings.coverage.otherwise(name)
    annotation = annotate(graph, statistics, coverage, settings.extra, settings.offsets, settings.input_precision)
    read = {layer: layer.inputs[0] for layer in layers}
    return {layer: annotation.inputs.get(value) or annotation.narrow(value) for layer, value in read.items()}
