"""What a training changes: the parameters of a Gluon block, or of any float graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import mxnet as mx
import numpy as np
from mxnet import gluon

from mrt import ops
from mrt.errors import MRTError
from mrt.executors.symbol import to_symbol
from mrt.graph import Graph, Value
from mrt.graph.batch import Feed


class Learner(Protocol):
    """A network in MXNet's memory that can be run, recorded and updated in place."""

    @property
    def learned(self) -> Mapping[str, Any]:
        """MXNet arrays with gradients, by name."""

    @property
    def state(self) -> Mapping[str, Any]:
        """All arrays that training changes, by name: those, and moving statistics."""

    def __call__(self, pictures: Feed) -> list[Any]:
        """The outputs for a batch, as a dataset gives it."""


class BlockLearner:
    """A Gluon block, initialised, all its shapes known."""

    def __init__(self, block: gluon.HybridBlock) -> None:
        """`block` is changed by training."""
        self._block = block
        parameters = block.collect_params()
        self.learned = {name: p.data() for name, p in parameters.items() if p.grad_req != "null"}
        self.state = {name: p.data() for name, p in parameters.items()}

    def __call__(self, pictures: Feed) -> list[Any]:
        """See `Learner`."""
        outputs = self._block(*in_memory(pictures))
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


class GraphLearner:
    """A float graph: loaded, rewritten or pruned. The graph itself stays as it is; `graph` is the result.

    Args:
        graph: what to train.
        also: further values to compute, after the graph's outputs.
        context: MXNet's device.
        learned: names of the parameters that training changes; None: what layers learn (`learned_names`).

    Raises:
        MRTError: it has no parameter that could be learned.
    """

    def __init__(
        self,
        graph: Graph,
        also: Sequence[Value] = (),
        context: Any | None = None,
        learned: Sequence[str] | None = None,
    ) -> None:
        self._graph = graph
        self._context = context or mx.cpu()
        symbol = to_symbol(Graph((*graph.outputs, *also), graph.params, graph.inputs))
        names = symbol.list_inputs()
        wanted = learned_names(graph) if learned is None else list(learned)
        if not wanted:
            raise MRTError("the network has no weights that could be trained")
        auxiliary = set(symbol.list_auxiliary_states())
        arrays = {
            name: mx.nd.array(graph.params[name], self._context, _dtype(graph, name))
            for name in names
            if name not in graph.inputs
        }
        self.learned = {name: arrays[name] for name in wanted if name in arrays}
        self.state = {name: array for name, array in arrays.items() if name in self.learned or name in auxiliary}
        for array in self.learned.values():
            array.attach_grad()
        self._arguments = [arrays.get(name) for name in names]
        self._positions = {name: names.index(name) for name in graph.inputs if name in names}
        read = list(self._positions.values())
        others = [index for index in range(len(names)) if index not in read]
        self._cached = mx.nd.CachedOp(
            symbol,
            [("data_indices", read), ("param_indices", others), ("static_alloc", True), ("static_shape", True)],
        )

    def __call__(self, pictures: Feed) -> list[Any]:
        """See `Learner`."""
        arguments = list(self._arguments)
        for position, array in zip(self._positions.values(), self._in_order(pictures)):
            arguments[position] = array
        outputs = self._cached(*arguments)
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]

    def _in_order(self, pictures: Feed) -> list[Any]:
        if not isinstance(pictures, Mapping):
            return in_memory(pictures, self._context)
        return in_memory({name: pictures[name] for name in self._positions}, self._context)

    @property
    def graph(self) -> Graph:
        """The graph with the parameters as they are now."""
        params = {**self._graph.params, **{name: array.asnumpy() for name, array in self.state.items()}}
        return Graph(self._graph.outputs, params, self._graph.inputs)


def in_memory(feed: Feed, context: Any | None = None) -> list[Any]:
    """MXNet's arrays of a batch, in the order of its inputs."""
    arrays = feed.values() if isinstance(feed, Mapping) else [feed]
    return [mx.nd.array(array, context or mx.cpu()) for array in arrays]


def learned_names(graph: Graph) -> list[str]:
    """The parameters that training changes, in the order in which the network reads them."""
    found: dict[str, None] = {}
    for node in graph.nodes():
        for position in ops.of(node).learned:
            for value in node.inputs[position : position + 1]:
                array = graph.constant(value)
                if array is not None and array.dtype.kind == "f":
                    found[value.node.name] = None
    return list(found)


def _dtype(graph: Graph, name: str) -> Any:
    dtype = graph.params[name].dtype
    return np.float32 if dtype.kind == "f" else dtype
