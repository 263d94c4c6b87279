"""The largest magnitude of each channel of chosen tensors, on calibration data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Value
from mrt.graph.batch import Feed, Samples, fitting

_BUDGET_BYTES = 256 * 2**20


def largest_per_channel(
    graph: Graph, values: Sequence[Value], batches: Iterable[Feed], context: Any | None = None
) -> dict[str, Array]:
    """The largest magnitude over everything but axis 1, (C,), by value name. Memory is bounded as in calibration."""
    if not values:
        return {}
    shapes = infer_shapes(graph)
    piece = fitting((shapes[value] for value in values), _BUDGET_BYTES)
    samples = Samples(graph.inputs)
    executor = Executor(graph, values, context=context)
    found: dict[str, Array] = {}
    for batch in batches:
        for feed in samples.pieces(batch, piece):
            for value, array in zip(values, executor(feed)):
                rest = tuple(axis for axis in range(array.ndim) if axis != 1)
                largest = np.maximum(array.max(axis=rest), -array.min(axis=rest))
                found[value.name] = np.maximum(largest, found.get(value.name, 0.0))
    return found
