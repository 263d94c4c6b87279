"""What MXNet does with a network for the first time, in a child process: MXNet can crash or hang on a valid network.

`first_shapes` and `first_forward` end such a network in one line that names the node; what they pass can be done here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import numpy as np

from mrt.errors import MRTError, Remedy
from mrt.executors.child import Failure, attempt
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Graph, Node, Value

_SECONDS = 120.0
_SEARCH_SECONDS = 20.0


def first_shapes(graph: Graph) -> None:
    """Infer the shapes of a network, for one sample and for two.

    That they do not fit together is no matter here: the network may be for another size of the batch.

    Raises:
        MRTError: MXNet dies of it; the node is named.
    """

    def infer(part: Graph, batch: int) -> None:
        with contextlib.suppress(MRTError):
            infer_shapes(part, batch)

    _guard(graph, infer)


def first_forward(graph: Graph, alone: bool = False) -> None:
    """Run a network on random numbers: one sample and then, unless it is for one alone, two.

    Raises:
        MRTError: MXNet cannot run one, or dies of it, or hangs; the node is named.
    """

    def forward(part: Graph, batch: int) -> None:
        rng = np.random.default_rng(0)
        infer_shapes(part, batch)  # its refusal says more than that of a run
        shapes = part.input_shapes(batch)
        Executor(part)({name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()})

    _guard(graph, forward, alone)


def _guard(graph: Graph, task: Callable[[Graph, int], object], alone: bool = False) -> None:
    failure = attempt(partial(_do, task, alone, graph), _SECONDS)
    if failure is None:
        return
    named = {word.strip(":,;()'") for word in failure.reason.split()}
    nodes = graph.nodes()
    if not failure.died and any(node.name in named for node in nodes):
        raise MRTError(failure.reason, Remedy.INPUT_SHAPE)
    node, failure = _culprit(graph, nodes, partial(_do, task, alone), failure)
    place = f"node {node.name} ({node.op}): " if node else ""
    if not failure.died:
        raise MRTError(place + failure.reason, Remedy.INPUT_SHAPE)
    raise MRTError(
        f"{place}MXNet itself cannot run the network here: {failure.reason}; export it without this operator"
    )


def _do(task: Callable[[Graph, int], object], alone: bool, graph: Graph) -> None:
    task(graph, 1)
    if alone:
        return
    with contextlib.suppress(MRTError):  # a network for one sample may be cut before what makes it that
        task(graph, 2)


def _run(task: Callable[[Graph], object], graph: Graph) -> None:
    task(graph)


def _culprit(
    graph: Graph, nodes: list[Node], task: Callable[[Graph], object], failure: Failure
) -> tuple[Node | None, Failure]:
    """The first node, in the graph's order, up to and with which the network fails, and how it does."""
    passing, failing = 0, len(nodes)
    while failing - passing > 1:
        middle = (passing + failing) // 2
        part = _up_to(graph, nodes, middle)
        found = attempt(partial(_run, task, part), _SEARCH_SECONDS)
        if found is None:
            passing = middle
        else:
            failing, failure = middle, found
    return (nodes[failing - 1] if nodes and not nodes[failing - 1].is_variable else None), failure


def _up_to(graph: Graph, nodes: list[Node], count: int) -> Graph:
    """The network of the first nodes; its outputs are what the others read, and of the network's what it has."""
    inside = set(nodes[:count])
    read = [value for node in nodes[count:] for value in node.inputs if value.node in inside]
    outputs = dict.fromkeys([*read, *(value for value in graph.outputs if value.node in inside)])
    outputs = {value: None for value in outputs if not value.node.is_variable} or {Value(nodes[count - 1]): None}
    return Graph(tuple(outputs), graph.params, graph.inputs).pruned()
