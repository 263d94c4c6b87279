"""Runs a network on batches of another size than the one that it takes, or than memory holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph
from mrt.graph.batch import Feed, Samples, fitting

Run = Callable[[Feed], list[Array]]
"""A way to run a network: a batch of its inputs to its outputs."""

_BUDGET_BYTES = 512 * 2**20


def in_pieces(run: Run, samples: Samples, size: int, outputs: Sequence[int] | None = None) -> Run:
    """`run`, `size` samples at a time; the last piece is filled up with its own last sample.

    Args:
        run: takes batches of `size` only.
        samples: where the samples of its inputs are.
        size: what it takes.
        outputs: on which axis each output has the samples; by default the first.
    """

    def call(feed: Feed) -> list[Array]:
        count = samples.count(feed)
        filled = -(-count // size) * size
        padded = samples.take(feed, np.minimum(np.arange(filled), count - 1))
        pieces = list(zip(*(run(piece) for piece in samples.pieces(padded, size))))
        axes = outputs or [0] * len(pieces)
        return [_without_filling(np.concatenate(parts, axis), axis, count, filled) for parts, axis in zip(pieces, axes)]

    return call


def bounded(run: Run, graph: Graph) -> Run:
    """`run`, in pieces whose tensors fit in a fixed budget: the batch does not decide how much memory a graph takes."""
    samples, size = Samples(graph.inputs), fitting(infer_shapes(graph).values(), _BUDGET_BYTES)

    def call(feed: Feed) -> list[Array]:
        if samples.count(feed) <= size:
            return run(feed)
        pieces = list(zip(*map(run, samples.pieces(feed, size))))
        return [np.concatenate(parts, axis) for parts, axis in zip(pieces, output_axes(graph))]

    return call


def output_axes(graph: Graph) -> list[int]:
    """The axis of each output that grows with the batch; 0 where none does."""
    two, three = ([infer_shapes(graph, batch)[value] for value in graph.outputs] for batch in (2, 3))
    return [next((axis for axis, (a, b) in enumerate(zip(*pair)) if a != b), 0) for pair in zip(two, three)]


def _without_filling(array: Array, axis: int, count: int, filled: int) -> Array:
    rows = array.shape[axis] // filled * count  # a sample may have several rows
    cut: Array = array[(slice(None),) * axis + (slice(rows),)]
    return cut
