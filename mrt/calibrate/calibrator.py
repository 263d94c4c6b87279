"""Runs the prepared network on calibration data and gathers statistics of every tensor, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mrt.errors import MRTError, Remedy
from mrt.executors.streaming import streamed
from mrt.graph import Graph, Value
from mrt.graph.batch import Feed
from mrt.statistics.tensor import Statistics


def calibrate(graph: Graph, batches: Iterable[Feed], context: Any | None = None) -> dict[str, Statistics]:
    """Statistics of every tensor that depends on the input, by value name.

    Memory is bounded (`streamed`).

    Raises:
        MRTError: there is no data, or a tensor takes values that are not finite.
    """
    values = _tensors(graph)
    gathered: dict[str, Statistics] = {}
    for _, arrays in streamed(graph, [[value] for value in values], batches, context):
        for value, (array,) in zip(values, arrays):
            current = Statistics.of(array)
            if not np.isfinite(current.mean + current.std):
                raise MRTError(f"node {value.node.name}: takes values that are not finite on the calibration data")
            known = gathered.get(value.name)
            gathered[value.name] = known.merge(current) if known else current
    if not gathered:
        raise MRTError("calibration: there is no data", Remedy.CALIBRATION_DATA)
    return gathered


def _tensors(graph: Graph) -> list[Value]:
    dynamic: dict[Value, None] = {}
    for node in graph.nodes():
        for value in node.inputs:
            if value.node.name not in graph.params:
                dynamic[value] = None
    for value in graph.outputs:
        if value.node.name not in graph.params:
            dynamic[value] = None
    return list(dynamic)
