"""The largest magnitude of each channel of chosen tensors, on calibration data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mrt.executors.streaming import streamed
from mrt.graph import Array, Graph, Value
from mrt.graph.batch import Feed


def largest_per_channel(
    graph: Graph, values: Sequence[Value], batches: Iterable[Feed], context: Any | None = None
) -> dict[str, Array]:
    """The largest magnitude over everything but axis 1, (C,), by value name. Memory is bounded as in calibration."""
    found: dict[str, Array] = {}
    for _, arrays in streamed(graph, [[value] for value in values], batches, context):
        for value, (array,) in zip(values, arrays):
            rest = tuple(axis for axis in range(array.ndim) if axis != 1)
            largest = np.maximum(array.max(axis=rest), -array.min(axis=rest))
            found[value.name] = np.maximum(largest, found.get(value.name, 0.0))
    return found
