"""Runs a network for what each layer's weights are multiplied with, and gathers its moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Node
from mrt.graph.attrs import integer, pair
from mrt.graph.batch import Feed, Samples, fitting
from mrt.statistics.moments import Moments

LAYERS = ("Convolution", "FullyConnected")
_POSITIONS = 128
_BUDGET_BYTES = 256 * 2**20
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
    layers = [node for node in graph.nodes() if node.op in LAYERS and graph.constant(node.inputs[1]) is not None]
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

    At most `positions` output positions of a picture, drawn with a fixed seed, stand for all of them. Batches are cut
    so that all inputs of one piece fit in a fixed budget of memory.
    """
    if not layers:
        return
    inputs = [layer.inputs[0] for layer in layers]
    executor = Executor(graph, inputs, context=context)
    shapes = infer_shapes(graph)
    piece = fitting((shapes[value] for value in inputs), _BUDGET_BYTES)
    samples = Samples(graph.inputs)
    generator = np.random.default_rng(_SEED)
    for feed in (piece_of for batch in batches for piece_of in samples.pieces(batch, piece)):
        for layer, data in zip(layers, executor(feed)):
            yield layer, _patches(layer, data, graph.params[layer.inputs[1].node.name], positions, generator)
        if advance:
            advance(samples.count(feed))


def _patches(layer: Node, data: Array, weight: Array, limit: int, generator: np.random.Generator) -> Array:
    """(G, N, K) input patches at sampled output positions, zero padding included."""
    if layer.op == "FullyConnected":
        return data.reshape(1, -1, data.shape[-1])
    stride, pad, dilate = (pair(layer, key, d) for key, d in (("stride", (1, 1)), ("pad", (0, 0)), ("dilate", (1, 1))))
    groups = integer(layer, "num_group", 1)
    kernel = weight.shape[2:]
    reach = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilate))
    padded = np.pad(data, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
    windows = sliding_window_view(padded, reach, (2, 3))[:, :, :: stride[0], :: stride[1]]  # type: ignore[call-overload]
    windows = windows[..., :: dilate[0], :: dilate[1]]
    count, channels, height, width = windows.shape[:4]
    positions = generator.permutation(height * width)[:limit]
    taken = windows[:, :, positions // width, positions % width]
    taken = taken.reshape(count, groups, channels // groups, len(positions), -1).transpose(1, 0, 3, 2, 4)
    return np.ascontiguousarray(taken, dtype=np.float32).reshape(groups, count * len(positions), -1)
