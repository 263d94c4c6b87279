"""Parts of a graph, fed with tensors that were computed elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph, Node, Value

Environment = Mapping[Value, Array]


class Piece:
    """A part of a graph that reads tensors computed elsewhere.

    Args:
        outputs: what it computes.
        params: constants by name, those of others may be among them.
        fed: says which values are given to it.
        shared: see `mrt.executors.mxnet.Executor`.
    """

    def __init__(
        self,
        outputs: Sequence[Value],
        params: Mapping[str, Array],
        fed: Callable[[Value], bool],
        shared: dict[str, Any] | None = None,
    ) -> None:
        self._variables: dict[Value, Value] = {}
        graph = Graph(tuple(outputs), {}, {})
        mapping: dict[Node, Node] = {}
        for node in graph.nodes():
            inputs = tuple(self._variable(v) if fed(v) else Value(mapping[v.node], v.index) for v in node.inputs)
            mapping[node] = node if inputs == node.inputs else replace(node, inputs=inputs)
        cut = Graph(tuple(Value(mapping[v.node], v.index) for v in outputs), {}, {})
        names = {node.name for node in cut.nodes() if node.is_variable}
        self._fed = {value: v.node.name for value, v in self._variables.items() if v.node.name in names}
        inputs_ = {name: (-1,) for name in self._fed.values()}
        self._graph = Graph(cut.outputs, {name: params[name] for name in names if name not in inputs_}, inputs_)
        self._shared = shared
        self._executor: Executor | None = None

    @property
    def reads(self) -> list[Value]:
        """What it has to be given."""
        return list(self._fed)

    def __call__(self, environment: Environment) -> list[Array]:
        """Run on one batch, with the given values among those of `environment`."""
        if self._executor is None:
            self._executor = Executor(self._graph, shared=self._shared)
        return self._executor({name: environment[value] for value, name in self._fed.items()})

    def _variable(self, value: Value) -> Value:
        if value not in self._variables:
            self._variables[value] = Value(Node("null", f"given {value.name}"))
        return self._variables[value]


@dataclass(frozen=True)
class Suffix:
    """What follows one changed tensor of a network.

    Attributes:
        piece: computes the outputs that depend on it.
        changed: which of the network's outputs these are.
    """

    piece: Piece
    changed: Sequence[int]

    def __call__(self, environment: Environment, outputs: Sequence[Array]) -> list[Array]:
        """The network's outputs; those that do not depend on the tensor are as in `outputs`."""
        result = list(outputs)
        for position, array in zip(self.changed, self.piece(environment)):
            result[position] = array
        return result


def rerouted(outputs: Sequence[Value], changes: Mapping[Value, Value]) -> list[Value]:
    """The outputs, computed from the new values in place of the old ones; nodes that read neither stay the same."""
    mapping: dict[Node, Node] = {}

    def moved(value: Value) -> Value:
        return changes[value] if value in changes else Value(mapping[value.node], value.index)

    for node in Graph(tuple(outputs), {}, {}).nodes():
        inputs = tuple(moved(v) for v in node.inputs)
        mapping[node] = node if inputs == node.inputs else replace(node, inputs=inputs)
    return [moved(value) for value in outputs]


def dependents(graph: Graph, value: Value) -> set[Node]:
    """The nodes that read the value, directly or not."""
    found: set[Node] = set()
    for node in graph.nodes():
        if any(v == value or v.node in found for v in node.inputs):
            found.add(node)
    return found
