"""Takes one operator of a network at a time into integers, or out of them.

The float network and the integer one are brought together in one name space, so that a graph may pass from real
numbers to integers and back:

- `only`: x -> round(x / S - o) -> the operator's own integer nodes -> S (q + o), in the float network;
- `left`: S (q + o) before it was rounded -> the operator in float -> round(y / S' - o'), in the integer network.

A tensor that is rounded to 8 bits is so for the sake of those who read it: the rounding is counted to each reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from cvm.ops.base import limit
from cvm.quantization import steps

from mrt import ops
from mrt.analysis.pieces import Piece, Suffix, dependents, rerouted
from mrt.graph import Array, Graph, Namer, Node, Value, target_operator
from mrt.integer.form import NARROW_BITS, Form
from mrt.integer.qvalue import QValue
from mrt.quantizer.quantize import Quantized

_SHIFT = target_operator("cvm_right_shift")


@dataclass(frozen=True)
class Unit:
    """One operator of the prepared network that computes something in integers.

    Attributes:
        node: of the float network.
        reads: the tensors that it reads, and in which integer form.
        result: what its output is in integers.
        layer: whether it is a convolution or a dense layer.
    """

    node: Node
    reads: tuple[tuple[Value, QValue], ...]
    result: QValue
    layer: bool


class Twins:
    """A prepared float network and its integer network, in one name space.

    Args:
        prepared: the float graph.
        quantized: as `quantize` returned it for that graph, not from a checkpoint.

    Attributes:
        real: the float graph.
        integer: the integer graph.
        units: the operators that can be told apart.
    """

    def __init__(self, prepared: Graph, quantized: Quantized) -> None:
        self.real, reals = _renamed(prepared, "float ")
        self.integer, integers = _renamed(quantized.graph, "integer ")
        self._params = {**self.real.params, **self.integer.params}
        self._namer = Namer()
        self._shared: dict[str, Any] = {}
        self._results: dict[Value, QValue] = {}
        for value, q in quantized.computed.items():
            node = integers.get(q.tensor.value.node)
            if node is not None:
                self._results[Value(reals[value.node])] = _moved(q, node)
        read = [(node, quantized.layer_inputs[node.name]) for node in reals if node.name in quantized.layer_inputs]
        alive = [(node, q) for node, q in read if q.tensor.value.node in integers]
        layers = {reals[node]: _moved(q, integers[q.tensor.value.node]) for node, q in alive}
        self.units = [unit for node in self.real.nodes() if (unit := self._unit(node, layers.get(node)))]
        self._real_dynamic, self._integer_dynamic = self.real.dynamic(), self.integer.dynamic()

    def _unit(self, node: Node, layer: QValue | None) -> Unit | None:
        value = Value(node)
        if node.is_variable or value not in self._results or (ops.get(node.op).form is Form.SAME and layer is None):
            return None
        if not self._known(node):
            return None
        dynamic = [v for v in dict.fromkeys(node.inputs) if v.node.name not in self.real.params]
        reads = tuple((v, layer if layer else self._results[v]) for v in dynamic)
        result = self._results[value]
        if any(result.tensor.value == q.tensor.value for _, q in reads):
            return None  # only the scale changes
        return Unit(node, reads, result, layer is not None)

    def _known(self, node: Node) -> bool:
        """Whether all that the node reads is there in integers."""
        return all(v in self._results or v.node.name in self.real.params for v in node.inputs)

    def integers_of(self, unit: Unit, before_rounding: bool = False) -> Piece:
        """The unit's integer nodes, fed with the tensors that it reads in integers, giving its real output.

        An output that is stored in 8 bits comes without that rounding; with `before_rounding`, so does any other.
        """
        feeds = {q.tensor.value for _, q in unit.reads}
        return Piece([self._real_output(unit.result, before_rounding)], self._params, feeds.__contains__, self._shared)

    def float_of(self, unit: Unit) -> Piece:
        """The unit's float operator, fed with the tensors that it reads."""
        feeds = {value for value, _ in unit.reads}
        return Piece([Value(unit.node)], self._params, feeds.__contains__, self._shared)

    def only(self, unit: Unit) -> Suffix:
        """The float network from the unit on, with the unit in integers."""
        mapping = {q.tensor.value: self._quantized(value, q) for value, q in unit.reads}
        (real,) = rerouted([self._real_output(unit.result)], mapping)
        return self._suffix(self.real, Value(unit.node), real, self._real_dynamic)

    def left(self, unit: Unit) -> Suffix:
        """The integer network from the unit on, with the unit in float."""
        memo: dict[Value, Value] = {}
        inputs = tuple(v if v.node.name in self.real.params else self._unrounded(v, memo) for v in unit.node.inputs)
        computed = Value(replace(unit.node, inputs=inputs))
        stored = self._quantized(computed, unit.result)
        return self._suffix(self.integer, unit.result.tensor.value, stored, self._integer_dynamic)

    def moved_input(self) -> set[Value]:
        """The float network's input, and what operators that only move or clamp values make of it."""
        found: set[Value] = set()
        for node in self.real.nodes():
            moves = not node.is_variable and ops.get(node.op).form is Form.SAME
            if node.name in self.real.inputs or (moves and any(value in found for value in node.inputs)):
                found.add(Value(node))
        return found

    def _suffix(self, graph: Graph, old: Value, new: Value, dynamic: set[Node]) -> Suffix:
        after = dependents(graph, old)
        sources = {node for node in self.real.nodes() if node.name in self.real.inputs}
        given = (dynamic - after - {old.node}) | sources
        outputs = rerouted(graph.outputs, {old: new})
        changed = [i for i, (a, b) in enumerate(zip(graph.outputs, outputs)) if a != b]
        piece = Piece([outputs[i] for i in changed], self._params, lambda value: value.node in given, self._shared)
        return Suffix(piece, changed)

    def _unrounded(self, value: Value, memo: dict[Value, Value]) -> Value:
        """The real value of a tensor in the integer network, before it was rounded to 8 bits."""
        if value in memo:
            return memo[value]
        node = value.node
        if node.is_variable:
            memo[value] = value
        elif ops.get(node.op).form is Form.SAME and self._known(node):
            inputs = tuple(v if v.node.name in self.real.params else self._unrounded(v, memo) for v in node.inputs)
            memo[value] = Value(replace(node, inputs=inputs), value.index)
        else:
            memo[value] = self._real_output(self._results[value])
        return memo[value]

    def _real_output(self, q: QValue, before_rounding: bool = False) -> Value:
        node, scale = q.tensor.value.node, float(q.scale)
        if q.per_channel is not None:
            gain, zero = q.per_channel.along(len(q.tensor.shape))
            return self._chain(q.tensor.value, [("broadcast_add", -zero), ("broadcast_mul", gain)])
        if node.op != _SHIFT or not (before_rounding or int(node.attrs["precision"]) <= NARROW_BITS):
            return self._chain(q.tensor.value, [("_plus_scalar", q.offset), ("_mul_scalar", scale)])
        factor = scale * 2.0 ** -int(node.attrs["shift_bit"])
        return self._chain(node.inputs[0], [("_mul_scalar", factor), ("_plus_scalar", scale * q.offset)])

    def _quantized(self, value: Value, q: QValue) -> Value:
        if q.per_channel is None:
            integers = self._chain(value, [("_mul_scalar", 1 / float(q.scale)), ("_plus_scalar", -q.offset)])
        else:
            gain, zero = q.per_channel.along(len(q.tensor.shape))
            integers = self._chain(value, [("broadcast_mul", 1 / gain), ("broadcast_add", zero)])
        rounded = Value(Node("rint", self._namer("rint"), (integers,)))
        largest = limit(q.tensor.precision)
        limits = {"a_min": str(-largest), "a_max": str(largest)}
        return Value(Node("clip", self._namer("clip"), (rounded,), limits))

    def _chain(self, value: Value, steps: Sequence[tuple[str, float | Array]]) -> Value:
        for op, operand in steps:
            if isinstance(operand, np.ndarray):
                constant = self._namer("constant")
                self._params[constant] = operand.astype(np.float32)
                value = Value(Node(op, self._namer(op), (value, Value(Node("null", constant)))))
            else:
                value = Value(Node(op, self._namer(op), (value,), {"scalar": repr(operand)}))
        return value


def to_integers(data: Array, q: QValue, rounded: bool = True, clipped: bool = True) -> Array:
    """Real numbers to the integers of a form, or to where they would be without rounding or without saturation."""
    real = q.unrounded(data)
    if rounded:
        real = np.floor(real + 0.5) if q.per_channel else steps(data, float(q.scale), q.offset)
    largest = limit(q.tensor.precision)
    return np.clip(real, -largest, largest) if clipped else real


def to_real(integers: Array, q: QValue) -> Array:
    """What integers stand for."""
    return q.real(integers)


def _moved(q: QValue, node: Node) -> QValue:
    return replace(q, tensor=replace(q.tensor, value=Value(node, q.tensor.value.index)))


def _renamed(graph: Graph, prefix: str) -> tuple[Graph, dict[Node, Node]]:
    """The graph with a prefix before every name, and what became of each node."""
    mapping: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(Value(mapping[v.node], v.index) for v in node.inputs)
        mapping[node] = replace(node, name=prefix + node.name, inputs=inputs)
    outputs = tuple(Value(mapping[v.node], v.index) for v in graph.outputs)
    params = {prefix + name: array for name, array in graph.params.items()}
    return Graph(outputs, params, {prefix + name: shape for name, shape in graph.inputs.items()}), mapping
