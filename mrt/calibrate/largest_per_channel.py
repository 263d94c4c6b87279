"""The largest magnitude of each channel of chosen tensors, on calibration data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Value

_BUDGET_BYTES = 256 * 2**20


def largest_per_channel(
    graph: Graph, values: Sequence[Value], batches: Iterable[Array], context: Any | None = None
) -> dict[str, Array]:
    """The largest magnitude over everything but axis 1, (C,), by value name. Memory is bounded as in calibration."""
    if not values:
        return {}
    shapes = infer_shapes(graph)
    piece = max(1, _BUDGET_BYTES // (4 * sum(int(np.prod(shapes[value])) for value in values)))
    executor = Executor(graph, values, context=context)
    found: dict[str, Array] = {}
    for batch in batches:
        for start in range(0, len(batch), piece):
            for value, array in zip(values, executor(batch[start : start + piece])):
                rest = tuple(axis for axis in range(array.ndim) if axis != 1)
                largest = np.maximum(array.max(axis=rest), -array.min(axis=rest))
                found[value.name] = np.maximum(largest, found.get(value.name, 0.0))
    return found
