"""Computes many values of a graph on many samples, in memory that neither the batch nor the network's depth decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph.batch import Feed, Samples, fitting, float_bytes, runs
from mrt.graph.ir import Array, Graph, Value

_BUDGET_BYTES = 256 * 2**20
"""Never by what is free: how samples are grouped may change the last bits of a float forward."""


def streamed(
    graph: Graph, wanted: Sequence[Sequence[Value]], batches: Iterable[Feed], context: Any | None = None
) -> Iterator[tuple[int, Iterator[list[Array]]]]:
    """The values wanted, some at a time, on every sample.

    Batches are cut so that all values of one piece fit in a fixed budget. Where those of one sample do not, the network
    runs several times, each time for as many of the values as fit.

    Args:
        graph: what to run.
        wanted: values that are needed together.
        batches: of any size.
        context: MXNet device.

    Yields:
        For each piece: how many samples it has, and the arrays of each entry of `wanted`, in order; to be used before
        the next piece is asked for.
    """
    if not wanted:
        return
    shapes = infer_shapes(graph)
    piece = fitting((shapes[value] for values in wanted for value in values), _BUDGET_BYTES)
    parameters: dict[str, Any] = {}
    groups = list(runs(wanted, lambda values: float_bytes(shapes[value] for value in values), _BUDGET_BYTES))
    executors = [
        Executor(graph, [value for values in group for value in values], context=context, shared=parameters)
        for group in groups
    ]
    samples = Samples(graph.inputs)

    def arrays(feed: Feed) -> Iterator[list[Array]]:
        for group, executor in zip(groups, executors):
            found = executor(feed)[::-1]
            for values in group:
                yield [found.pop() for _ in values]  # each is held once

    for feed in (part for batch in batches for part in samples.pieces(batch, piece)):
        yield samples.count(feed), arrays(feed)
