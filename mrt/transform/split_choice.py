"""Finds dense layers whose input has a few channels that reach much further than the others, and splits for these.

Transformers have such channels: one that is large for the first token of every sentence. Its step in 8 bits leaves
next to nothing of the other channels. Parts are added to whatever channel reaches furthest, one at a time. A layer gets
them where they take off most of what 8 bits of its input cost at its output, on pictures that had no part in choosing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mrt.calibrate.gather import constant_layers, layer_patches
from mrt.calibrate.thresholds import LEVELS, mse
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Node
from mrt.graph.batch import Feed, Samples
from mrt.quantizer.cheap import positions
from mrt.reproducible import matmul
from mrt.statistics.tensor import Statistics

_WORTH = 0.4  # of a layer's error, what may be left
_POOR = 10**-3.5  # of a layer's output's power, the error that is worth it
_MULTIPLE = 8  # copies are appended by so many: runtimes take channels in such groups
_SHARE = 64  # one copy for so many channels at most
_POSITIONS = 64


def find_splits(graph: Graph, pictures: Feed, context: Any | None = None) -> dict[str, Array]:
    """The number of parts of each input channel, (K,), by the layer's name.

    Args:
        graph: the prepared network.
        pictures: input; the first half proposes parts, the second decides.
        context: MXNet device.
    """
    samples = Samples(graph.inputs)
    count = samples.count(pictures)
    layers = [layer for layer in constant_layers(graph) if layer.op == "FullyConnected" and _copies(layer, graph)]
    if layers:
        shapes = infer_shapes(graph)
        layers = [layer for layer in layers if positions(layer, shapes) > 1]  # others take 16 bits, or are large
    if not layers or count < 2:
        return {}
    choosing, deciding = (samples.take(pictures, half) for half in np.array_split(np.arange(count), 2))

    def inputs(feed: Feed) -> Iterator[tuple[Node, Array]]:
        return ((layer, x[0]) for layer, x in layer_patches(graph, layers, [feed], _POSITIONS, context))

    largest: dict[Node, Array] = {}
    for layer, x in inputs(choosing):
        largest[layer] = np.maximum(largest.get(layer, 0.0), np.abs(x).max(axis=0))
    parts = {layer: _proposed(found, _copies(layer, graph)) for layer, found in largest.items()}
    seen: dict[Node, list[Statistics]] = {}
    for layer, x in inputs(choosing):
        new = [Statistics.of(x), Statistics.of(x / parts[layer])]
        seen[layer] = [a.merge(b) for a, b in zip(seen[layer], new)] if layer in seen else new
    errors = {layer: np.zeros(2) for layer in layers}
    power = dict.fromkeys(layers, 0.0)
    for layer, x in inputs(deciding):
        weight = np.ascontiguousarray(graph.params[layer.inputs[1].node.name].T)[None]
        power[layer] += _energy(matmul(x[None], weight, slices=1))
        for index, divisor in enumerate((np.ones(len(parts[layer])), parts[layer])):
            wrong = (_rounding(x / divisor, seen[layer][index]) * divisor).astype(np.float32)
            errors[layer][index] += _energy(matmul(wrong[None], weight, slices=1))
    return {
        layer.name: parts[layer]
        for layer, (before, after) in errors.items()
        if before > _POOR * power[layer] and after < _WORTH * before
    }


def _copies(layer: Node, graph: Graph) -> int:
    """How many copies a layer may get."""
    channels = graph.params[layer.inputs[1].node.name].shape[1]
    return int(channels // _SHARE // _MULTIPLE * _MULTIPLE)


def _proposed(largest: Array, copies: int) -> Array:
    """The parts: one more for whatever reaches furthest, again and again."""
    parts = np.ones(len(largest), np.int64)
    for _ in range(copies):
        parts[np.argmax(largest / parts)] += 1
    return parts


def _rounding(x: Array, seen: Statistics) -> Array:
    """What 8 bits over the range of least squared error change."""
    low, high = mse(seen)
    low, high = min(low, 0.0), max(high, 0.0)
    step = max(high - low, 1e-30) / LEVELS
    wrong: Array = np.clip(np.rint(x / step) * step, low, high) - x
    return wrong


def _energy(array: Array) -> float:
    return float(np.square(array, dtype=np.float64).sum())
