"""Chooses each tensor's calibrator by what it costs at the output of the layers that read the tensor.

A layer that reads x with the weights W gives W Q(x) instead of W x once x is quantized, with Q the rounding and
saturation that the calibrator's range means. The cost is |W Q(x) - W x|^2 / |W x|^2 on calibration pictures. Tensors
that share a scale share a calibrator: the one of the least sum over all layers that read one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable

import numpy as np
from cvm.quantization import dequantize, quantize

from mrt.calibrate.gather import constant_layers, layer_patches
from mrt.calibrate.thresholds import CALIBRATORS, LAMBDA
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.batch import Feed
from mrt.integer.qvalue import Target
from mrt.quantizer.annotate import annotate
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
    names = [*CALIBRATORS] + ([LAMBDA] if settings.ranges.lambd is not None else [])
    targets = {name: _targets(graph, statistics, settings, name, layers) for name in names}
    costs = _layer_costs(graph, targets, layer_patches(graph, layers, batches, _POSITIONS, context, advance))
    annotation = annotate(graph, statistics)
    total: dict[tuple[Value, ...], dict[str, float]] = {}
    for layer in layers:
        known = total.setdefault(annotation.sharing(layer.inputs[0]), dict.fromkeys(names, 0.0))
        known.update({name: known[name] + costs[layer][name] for name in names})
    best = {tensors: min(cost, key=cost.__getitem__) for tensors, cost in total.items()}
    free = {tensor: name for tensors, name in best.items() for tensor in tensors if not settings.ranges.settled(tensor)}
    return {tensor.name: name for tensor, name in free.items()}


def _layer_costs(
    graph: Graph, targets: Mapping[str, Mapping[Node, Target]], inputs: Iterable[tuple[Node, Array]]
) -> dict[Node, dict[str, float]]:
    """What each calibrator costs at the output of each layer, for its targets and patches of the layers' inputs."""
    layers = next(iter(targets.values()))
    signal = dict.fromkeys(layers, 0.0)
    noise = {layer: dict.fromkeys(targets, 0.0) for layer in layers}
    for layer, patches in inputs:
        weight = graph.params[layer.inputs[1].node.name]
        weight = weight.reshape(len(patches), -1, patches.shape[2]).transpose(0, 2, 1)
        signal[layer] += _energy(np.matmul(patches, weight))
        known: dict[Target, float] = {}
        for name, target_of in targets.items():
            target = target_of[layer]
            if target not in known:
                known[target] = _energy(np.matmul(_quantized(patches, target) - patches, weight))
            noise[layer][name] += known[target]
    return {layer: {name: noise[layer][name] / max(signal[layer], 1e-30) for name in targets} for layer in layers}


def _targets(
    graph: Graph, statistics: Mapping[str, Statistics], settings: QuantizeSettings, name: str, layers: list[Node]
) -> dict[Node, Target]:
    """The form in which each layer reads its input where the calibrator of that name decides."""
    ranges = settings.ranges.otherwise(name)
    annotation = annotate(graph, statistics, ranges, settings.extra, settings.offsets, settings.input_precision)
    read = {layer: layer.inputs[0] for layer in layers}
    return {layer: annotation.inputs.get(value) or annotation.narrow(value) for layer, value in read.items()}


def _quantized(real: Array, target: Target) -> Array:
    scale = float(target.scale)
    integers = quantize(real, scale, target.offset, target.precision)
    return dequantize(integers, scale, target.offset).astype(real.dtype)


def _energy(array: Array) -> float:
    return float(np.sum(np.square(array), dtype=np.float64))
