"""Runs a network for what each layer's weights are multiplied with, and gathers its moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable

import numpy as np

from mrt import ops
from mrt.executors.streaming import streamed
from mrt.graph import Array, Graph, Node
from mrt.graph.batch import Feed
from mrt.statistics.moments import Moments

_POSITIONS = 128
_SEED = 20


def gather(
    graph: Graph, batches: Iterable[Feed], context: Any | None = None, advance: Callable[[int], None] | None = None
) -> dict[str, Moments]:
    """The moments of every layer with constant weights, by node name."""
    gathered: dict[str, Moments] = {}
    for layer, patches in layer_patches(graph, constant_layers(graph), batches, _POSITIONS, context, advance):
        moments = gathered.get(layer.name)
        if moments is None:
            moments = gathered[layer.name] = Moments.around(patches.mean(axis=1))
        moments.add(patches)
    return gathered


def constant_layers(graph: Graph) -> list[Node]:
    """The layers with constant weights that depend on the input."""
    layers = [node for node in graph.nodes() if ops.layer(node) and graph.constant(node.inputs[1]) is not None]
    return [layer for layer in layers if graph.constant(layer.inputs[0]) is None]


def layer_patches(
    graph: Graph,
    layers: Sequence[Node],
    batches: Iterable[Feed],
    positions: int,
    context: Any | None = None,
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[Node, Array]]:
    """Each layer with what its weights are multiplied with, (G, N, K) as in `Moments`, piece of data after piece.

    At most `positions` output positions of a picture, drawn with a fixed seed, stand for all of them. Memory is
    bounded (`streamed`).
    """
    generator = np.random.default_rng(_SEED)
    for count, arrays in streamed(graph, [layer.inputs[:1] for layer in layers], batches, context):
        for layer, (data,) in zip(layers, arrays):
            operator = ops.layer(layer)
            assert operator is not None
            weight = graph.params[layer.inputs[1].node.name]
            yield layer, operator.patches(layer, data, weight, positions, generator)
        if advance:
            advance(count)
