"""The graph: immutable nodes, of float operators with MXNet's semantics or of the integer target's operators.

A `Graph` is a set of output values; everything else follows from them. Passes never mutate a node: they build a new
graph through `Graph.rebuild`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from mrt.errors import MRTError

Shape = tuple[int, ...]
Array = npt.NDArray[Any]

VARIABLE = "null"
_TARGET = "cvm."


@dataclass(frozen=True, eq=False)
class Node:
    """One operator application, or a variable (`op == "null"`).

    Attributes:
        op: an operator of float graphs, by MXNet's name or one of `mrt.ops`, or `cvm.` and the name of one of the
            target's.
        name: unique in its graph.
        attrs: its attributes, as strings: MXNet's, or the target's own.
        inputs: the values it reads.
        origin: names of the nodes of the user's network that it stands for.
    """

    op: str
    name: str
    inputs: tuple[Value, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)
    origin: tuple[str, ...] = ()

    @property
    def is_variable(self) -> bool:
        """Whether this is a parameter or a run-time input."""
        return self.op == VARIABLE

    @property
    def target_op(self) -> str | None:
        """The name of the target's operator, None for a variable and for an operator of float graphs."""
        return self.op[len(_TARGET) :] if self.op.startswith(_TARGET) else None

    def __repr__(self) -> str:
        """Operator and name."""
        return f"<{self.op} {self.name}>"


@dataclass(frozen=True)
class Value:
    """Output `index` of `node`."""

    node: Node
    index: int = 0

    @property
    def name(self) -> str:
        """The node's name, with the output index where it is not the first."""
        return self.node.name if self.index == 0 else f"{self.node.name}:{self.index}"


Visit = Callable[[Node, tuple[Value, ...]], Optional[Sequence[Value]]]


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        outputs: what it computes.
        params: variable name -> array, for every variable that is not an input.
        inputs: run-time input name -> shape; -1 marks the batch axis.
    """

    outputs: tuple[Value, ...]
    params: Mapping[str, Array]
    inputs: Mapping[str, Shape]

    def nodes(self) -> list[Node]:
        """All nodes, inputs before users, in a deterministic order (post-order from the outputs)."""
        order: list[Node] = []
        done: set[Node] = set()
        stack: list[tuple[Node, int]] = [(value.node, 0) for value in reversed(self.outputs)]
        open_: set[Node] = set()
        while stack:
            node, position = stack.pop()
            if node in done:
                continue
            if position == 0:
                if node in open_:
                    raise MRTError(f"node {node.name}: the graph has a cycle through it")
                open_.add(node)
            if position < len(node.inputs):
                stack.append((node, position + 1))
                child = node.inputs[position].node
                if child not in done:
                    stack.append((child, 0))
            else:
                done.add(node)
                open_.discard(node)
                order.append(node)
        return order

    def consumers(self) -> dict[Value, list[Node]]:
        """For each value, the nodes that read it (a node once per use)."""
        users: dict[Value, list[Node]] = {}
        for node in self.nodes():
            for value in node.inputs:
                users.setdefault(value, []).append(node)
        return users

    def dynamic(self) -> set[Node]:
        """The nodes whose value depends on a run-time input; the others are constants."""
        found: set[Node] = set()
        for node in self.nodes():
            if node.name in self.inputs or any(value.node in found for value in node.inputs):
                found.add(node)
        return found

    def use_counts(self) -> dict[Value, int]:
        """How many times each value is read; being a graph output counts as a use."""
        counts = {value: len(users) for value, users in self.consumers().items()}
        for value in self.outputs:
            counts[value] = counts.get(value, 0) + 1
        return counts

    def constant(self, value: Value) -> Array | None:
        """The array behind a value when it is a parameter, else None."""
        return self.params.get(value.node.name) if value.node.is_variable else None

    def input_shapes(self, batch: int) -> dict[str, Shape]:
        """The run-time inputs' shapes with the batch axis filled in."""
        return {name: tuple(batch if d == -1 else d for d in shape) for name, shape in self.inputs.items()}

    def rebuild(self, visit: Visit, new_params: Mapping[str, Array] | None = None) -> Graph:
        """A new graph in which `visit(node, new inputs)` may replace each node.

        `visit` returns the values that stand for the node's outputs, or None to keep the node. Parameters that
        `visit` adds go into `new_params`; parameters that nothing reads any more are dropped.
        """
        mapping: dict[Value, Value] = {}
        rebuilt: dict[Node, Node] = {}
        for node in self.nodes():
            inputs = tuple(self._mapped(value, mapping, rebuilt) for value in node.inputs)
            replacement = visit(node, inputs)
            if replacement is None:
                same = all(a == b for a, b in zip(inputs, node.inputs))
                rebuilt[node] = node if same else replace(node, inputs=inputs)
            else:
                for index, value in enumerate(replacement):
                    mapping[Value(node, index)] = value
        outputs = tuple(self._mapped(value, mapping, rebuilt) for value in self.outputs)
        return Graph(outputs, {**self.params, **(new_params or {})}, self.inputs).pruned()

    @staticmethod
    def _mapped(value: Value, mapping: Mapping[Value, Value], rebuilt: Mapping[Node, Node]) -> Value:
        return mapping[value] if value in mapping else Value(rebuilt[value.node], value.index)

    def pruned(self) -> Graph:
        """The same graph without parameters and inputs that nothing reads; names are checked to be unique."""
        nodes = self.nodes()
        seen: set[str] = set()
        for node in nodes:
            if node.name in seen:
                raise MRTError(f"node {node.name}: two nodes of the graph have this name")
            seen.add(node.name)
        used = {node.name for node in nodes if node.is_variable}
        missing = sorted(used - set(self.params) - set(self.inputs))
        if missing:
            raise MRTError(
                f"variable {missing[0]}: neither an input nor in the parameters file"
                + (f" (and {len(missing) - 1} more)" if len(missing) > 1 else "")
            )
        params = {name: array for name, array in self.params.items() if name in used}
        return Graph(self.outputs, params, {name: shape for name, shape in self.inputs.items() if name in used})


def target_operator(name: str) -> str:
    """`Node.op` of the target's operator of that name."""
    return _TARGET + name


def origins(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The union of the nodes' origins, in order of first appearance."""
    return tuple(dict.fromkeys(name for node in nodes for name in node.origin))


class Namer:
    """Hands out node names that are unique in a graph."""

    def __init__(self, graph: Graph | None = None) -> None:
        self._taken = {node.name for node in graph.nodes()} if graph else set()

    def __call__(self, base: str) -> str:
        """`base`, or `base_1`, `base_2`, … when it is taken."""
        name, count = base, 0
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name


def as_param(array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Array:
    """A C-contiguous copy of `array`, safe to keep as a parameter."""
    return np.array(array, dtype=dtype, order="C", copy=True)
