"""A model of the target: a graph of operators over one input and constant parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvm import ops, storage
from cvm.charge import charge
from cvm.errors import CVMError
from cvm.node import INPUT, MAX_NAME, Node
from cvm.ops.base import Array, Shape, check_precision, check_shape, limit

__all__ = ["INPUT", "Inferred", "Model", "Node"]


@dataclass(frozen=True)
class Inferred:
    """Shapes and precisions of every output of every node."""

    shapes: list[list[Shape]]
    precisions: list[list[int]]


@dataclass
class Model:
    """Nodes in topological order, output entries (heads), and what is known of the variables.

    `params` are int32 arrays; `precisions` covers every variable, the input `data` included; `input_shape` is that
    of `data`.
    """

    nodes: list[Node]
    heads: list[tuple[int, int]]
    params: dict[str, Array]
    precisions: dict[str, int]
    input_shape: Shape

    def infer(self, input_shape: Shape | None = None) -> Inferred:
        """Shapes and precisions of every node, for another input shape if one is given.

        Raises `CVMError` naming the node for anything illegal: an operator, attribute, shape, precision or edge the
        target refuses, a parameter missing, extra or beyond its precision.
        """
        shape = tuple(self.input_shape if input_shape is None else input_shape)
        self._check_variables()
        inferred = Inferred([], [])
        for index, node in enumerate(self.nodes):
            try:
                self._infer_node(index, node, shape, inferred)
            except CVMError as error:
                raise CVMError(f"node {node.name!r} ({'variable' if node.is_variable else node.op}): {error}") from None
        if not self.heads:
            raise CVMError("the model has no output")
        for head in self.heads:
            self._check_entry(head, len(self.nodes), inferred)
        return inferred

    @property
    def operations(self) -> int:
        """What the reference charges for one run ("gas"), see `cvm.charge`; `CVMError` for an illegal model."""
        return charge(self.nodes, self.infer().shapes).operations

    @property
    def storage_size(self) -> int:
        """Bytes of the reference's buffers for the storage numbers that `cvm.format` writes."""
        shapes = self.infer().shapes
        return storage.size(shapes, storage.plan(self.nodes, self.heads, shapes))

    def _check_variables(self) -> None:
        variables = set()
        for node in self.nodes:
            if node.is_variable and node.name in variables:
                raise CVMError(f"two variables are called {node.name!r}")
            if node.is_variable:
                variables.add(node.name)
        if INPUT not in variables:
            raise CVMError(f"the model has no input variable called {INPUT!r}")
        extra = sorted((set(self.params) | set(self.precisions)) - variables) + [INPUT] * (INPUT in self.params)
        if extra:
            raise CVMError(f"parameter {extra[0]!r} belongs to no variable of the graph")

    def _infer_node(self, index: int, node: Node, input_shape: Shape, inferred: Inferred) -> None:
        if node.is_variable:
            shape, precision = self._variable(node, input_shape)
            inferred.shapes.append([shape])
            inferred.precisions.append([precision])
            return
        operator = ops.get(node.op)
        for entry in node.inputs:
            self._check_entry(entry, index, inferred)
        shapes = [inferred.shapes[i][k] for i, k in node.inputs]
        precisions = [inferred.precisions[i][k] for i, k in node.inputs]
        inferred.shapes.append(operator.infer_shape(node.attrs, shapes))
        inferred.precisions.append(operator.infer_precision(node.attrs, precisions, shapes))

    def _check_entry(self, entry: tuple[int, int], end: int, inferred: Inferred) -> None:
        node, output = entry
        if not 0 <= node < end:
            raise CVMError(f"input {entry} is not a node before it")
        if not 0 <= output < len(inferred.shapes[node]):
            raise CVMError(f"input {entry}: {self.nodes[node].name!r} has {len(inferred.shapes[node])} outputs")

    def _variable(self, node: Node, input_shape: Shape) -> tuple[Shape, int]:
        if not node.name.isascii():
            raise CVMError("the name is not ASCII")
        if not 1 <= len(node.name) <= MAX_NAME:
            raise CVMError(f"a name of {len(node.name)} characters (1 to {MAX_NAME} are allowed)")
        if node.inputs or node.attrs:
            raise CVMError("a variable has neither inputs nor attributes")
        if node.name not in self.precisions:
            raise CVMError("no precision is given")
        precision = self.precisions[node.name]
        check_precision(precision, "variable")
        if node.name == INPUT:
            check_shape(input_shape)
            return input_shape, precision
        if node.name not in self.params:
            raise CVMError("the parameter is missing")
        value = self.params[node.name]
        if value.dtype != np.int32:
            raise CVMError(f"the parameter is {value.dtype}, expected int32")
        check_shape(value.shape)
        bound = limit(precision)
        if int(value.max()) > bound or int(value.min()) < -bound:
            raise CVMError(f"a value leaves [-{bound}, {bound}], the range of precision {precision}")
        return value.shape, precision
