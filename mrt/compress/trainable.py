"""An integer network whose layers compute their constants of what can be learned.

What is learned are the integer network's own constants. A layer computes

    q = clip((m (sum (x + o) v + border) + B) >> s),    v = clip(round(w / m)), m = round(mu), B = round(beta) + ...

with the learned w, mu and beta, so mu is the learned step of the layer's weights (Esser et al., Learned step size
quantization, 2020) and, through the saturation of q, that of the activation that it stores. Every rounding passes its
gradient on, every saturation stops it. What the forward pass computes are the target's integers: everything in
float64, but products of layers whose sums stay below 2^24, which float32 holds exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mrt.executors.mxnet import infer_shapes
from mrt.executors.twin import twin
from mrt.graph import Array, Graph, Namer, Node, Value
from mrt.graph.attrs import integer, integers
from mrt.ops.convolution import border_table
from mrt.quantizer.quantize import Quantized

_EXACT = 2**24
_LAYERS = ("cvm.conv2d", "cvm.dense")


@dataclass(frozen=True)
class Constants:
    """The constants of one layer, by the names of the integer network's parameters.

    Attributes:
        kept: which weights may be other than 0; None: all.
        clusters: the number of the value that each weight shares with others, from 0; None: each has its own. What is
            shared are the layer's integers, so its multiplier stays as it is.
    """

    layer: Node
    weight: str
    multiplier: str
    addend: str
    shift: int
    precision: int
    offset: int
    limit: int
    border: str | None = None
    kept: Array | None = None
    clusters: Array | None = None


def layers_of(quantized: Quantized, bits: Mapping[str, int]) -> list[Constants]:
    """The layers whose constants can be learned: those of 8 bits at most with a requantization of their own.

    Args:
        quantized: the integer network, not from a checkpoint.
        bits: of layers of fewer than 8.
    """
    graph = quantized.graph
    consumers = graph.consumers()
    counts = graph.use_counts()
    found = []
    for node in graph.nodes():
        name = next((n for n in quantized.layer_inputs if node.name in _named(n)), None)
        if node.op not in _LAYERS or name is None or graph.constant(node.inputs[1]) is None:
            continue
        if quantized.layer_inputs[name].per_channel:
            continue  # its border depends on each weight, not on the sums of taps
        constants: dict[str, str] = {}
        border, at = None, node
        while counts.get(Value(at)) == 1 and at.op != "cvm.cvm_right_shift":
            (user,) = consumers[Value(at)]
            other = next((value for value in user.inputs if value.node is not at), None)
            if user.op == "cvm.broadcast_add" and "cvm.broadcast_mul" not in constants and other is not None:
                border = _table(other)
                if border is None:
                    break
            elif user.op in ("cvm.broadcast_mul", "cvm.broadcast_add") and other is not None:
                constants[user.op] = other.node.name
            elif user.op not in ("cvm.cvm_clip", "cvm.cvm_right_shift"):
                break
            if user.op == "cvm.cvm_right_shift" and len(constants) < 2:
                break
            at = user
        if at.op != "cvm.cvm_right_shift" or not all(value in graph.params for value in constants.values()):
            continue
        offset = quantized.layer_inputs[name].offset
        found.append(
            Constants(
                node,
                node.inputs[1].node.name,
                constants["cvm.broadcast_mul"],
                constants["cvm.broadcast_add"],
                integer(at, "shift_bit"),
                integer(at, "precision"),
                offset,
                2 ** (bits.get(name, 8) - 1) - 1,
                border,
            )
        )
    names = [name for layer in found for name in (layer.weight, layer.multiplier, layer.addend)]
    return [
        layer for layer in found if all(names.count(n) == 1 for n in (layer.weight, layer.multiplier, layer.addend))
    ]


def _named(layer: str) -> tuple[str, str]:
    return f"{layer}_convolution", f"{layer}_fullyconnected"


def _table(value: Value) -> str | None:
    """The parameter that a border's table is spread from."""
    node = value.node
    while node.op == "cvm.take":
        node = node.inputs[0].node
    return node.name if node.is_variable else None


def trainable(graph: Graph, layers: list[Constants], start: dict[str, Array]) -> tuple[Graph, dict[str, Value]]:
    """The network with its layers' constants computed of what is learned, and the values of those constants.

    `start` takes what is learned, as it stands at first.
    """
    maker = _Maker(graph)
    constants: dict[str, Value] = {}
    exact = set()
    shapes = infer_shapes(graph)
    for layer in layers:
        constants.update(maker.layer(layer, shapes))
    for node in graph.nodes():
        if node.op in _LAYERS and graph.constant(node.inputs[1]) is not None:
            weight = graph.params[node.inputs[1].node.name]
            limit = next((layer.limit for layer in layers if layer.layer is node), int(np.abs(weight).max()))
            if limit * 127 * int(np.prod(weight.shape[1:])) < _EXACT:
                exact.add(node.name)
    start.update(maker.learned)

    def put_in(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        return [constants[node.name]] if node.name in constants else None

    params = {name: array.astype(np.float64) for name, array in {**graph.params, **maker.params}.items()}
    computed = Graph(graph.outputs, params, graph.inputs).rebuild(put_in, maker.params)
    plain = twin(computed)
    namer = Namer(plain)

    def straight(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        if node.op in ("floor", "trunc"):
            return [_straight(node, inputs[0], namer)]
        if node.name in exact and node.op in ("Convolution", "FullyConnected"):
            single = tuple(_node("Cast", namer(node.name), (value,), dtype="float32") for value in inputs)
            return [_node("Cast", namer(node.name), (Value(replace(node, inputs=single)),), dtype="float64")]
        return None

    return plain.rebuild(straight), constants


def _node(op: str, name: str, inputs: tuple[Value, ...], **attrs: object) -> Value:
    return Value(Node(op, name, inputs, {key: str(value) for key, value in attrs.items()}))


def _straight(node: Node, x: Value, namer: Namer) -> Value:
    """x + (rounded - x), the bracket without a gradient; exact for integers below 2^53."""
    rounded = Value(replace(node, inputs=(x,), name=namer(node.name)))
    away = _node("elemwise_sub", namer(f"{node.name}_away"), (rounded, x))
    still = _node("BlockGrad", namer(f"{node.name}_still"), (away,))
    return _node("elemwise_add", node.name, (x, still))


def _means(weight: Array, layer: Constants) -> Array:
    """The mean of the weights of each cluster."""
    assert layer.clusters is not None
    kept = np.ones(weight.shape, bool) if layer.kept is None else layer.kept
    sums = np.bincount(layer.clusters[kept], weight[kept])
    means: Array = sums / np.maximum(np.bincount(layer.clusters[kept]), 1)
    return means


class _Maker:
    """Writes layers' constants as functions of what is learned."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._namer = Namer(graph)
        self.params: dict[str, Array] = {}
        self.learned: dict[str, Array] = {}

    def layer(self, layer: Constants, shapes: Mapping[Value, tuple[int, ...]]) -> dict[str, Value]:
        """The values of the layer's constants, by name."""
        params, name = self._graph.params, layer.layer.name
        weight = params[layer.weight].astype(np.float64)
        multiplier, addend = (params[n].astype(np.float64).reshape(-1) for n in (layer.multiplier, layer.addend))
        rows = (-1,) + (1,) * (weight.ndim - 1)
        multipliers = np.broadcast_to(multiplier, (len(weight),))
        largest = 2.0 ** (int(multipliers.max()).bit_length()) - 1
        if layer.clusters is not None:
            m = self._param(multipliers)
            book = self._learn(f"{name}_values", _means(weight, layer) / layer.limit)
            v = self._op("take", self._op("_mul_scalar", book, scalar=layer.limit), self._param(layer.clusters))
        else:
            ratio = self._learn(f"{name}_ratio", np.ones(len(weight)))
            m = self._round(self._clip(self._op("elemwise_mul", ratio, self._param(multipliers)), 1, largest))
            scaled = self._learn(f"{name}_weight", weight / layer.limit)
            unit = self._param((layer.limit * multipliers).reshape(rows))
            v = self._op("broadcast_div", self._op("broadcast_mul", scaled, unit), self._reshape(m, rows))
        v = self._round(self._clip(v, -layer.limit, layer.limit))
        if layer.kept is not None:
            v = self._op("elemwise_mul", v, self._param(layer.kept))
        found = {layer.weight: v}
        shape = params[layer.multiplier].shape
        found[layer.multiplier] = self._reshape(
            m, tuple(len(weight) if d > 1 else d for d in shape) if multiplier.size > 1 else shape
        )
        sums = weight.reshape(len(weight), -1).sum(axis=1)
        inner = layer.offset * multipliers * sums if layer.offset and layer.border is None else np.zeros(len(weight))
        scale = 2.0 ** (layer.shift + layer.precision - 1)
        beta = self._learn(f"{name}_bias", (np.broadcast_to(addend, (len(weight),)) - inner) / scale)
        total = self._round(self._op("_mul_scalar", beta, scalar=scale))
        flat = self._reshape(v, (len(weight), -1))
        if layer.offset and layer.border is None:
            through = self._op("elemwise_mul", m, self._op("sum", flat, axis=(1,)))
            total = self._op("elemwise_add", total, self._op("_mul_scalar", through, scalar=layer.offset))
        found[layer.addend] = self._reshape(total, params[layer.addend].shape)
        if layer.border is not None:
            found[layer.border] = self._border(layer, v, weight.shape, shapes)
        return found

    def _border(
        self, layer: Constants, v: Value, shape: tuple[int, ...], shapes: Mapping[Value, tuple[int, ...]]
    ) -> Value:
        """The table of `border_table`, which is linear in the taps' sums over the inputs."""
        node, taps = layer.layer, int(np.prod(shape[2:]))
        attrs = {
            "stride": str(integers(node, "strides")),
            "pad": str(integers(node, "padding")),
            "dilate": str(integers(node, "dilation")),
        }
        each = np.eye(taps).reshape(taps, 1, *shape[2:])
        table, _, _ = border_table(
            Node("Convolution", node.name, (), attrs), each, shapes[node.inputs[0]], shapes[Value(node)]
        )
        basis = self._param(layer.offset * table.reshape(taps, -1).astype(np.float64))
        sums = self._reshape(self._op("sum", v, axis=(1,)), (shape[0], taps))
        return self._reshape(self._op("dot", sums, basis), self._graph.params[str(layer.border)].shape)

    def _op(self, op: str, *inputs: Value, **attrs: object) -> Value:
        return _node(op, self._namer(f"learned_{op.strip('_')}"), inputs, **attrs)

    def _param(self, array: Array) -> Value:
        name = self._namer("learned_const")
        self.params[name] = np.ascontiguousarray(array, np.float64)
        return Value(Node("null", name))

    def _learn(self, base: str, array: Array) -> Value:
        name = self._namer(base)
        self.params[name] = self.learned[name] = np.ascontiguousarray(array, np.float64)
        return Value(Node("null", name))

    def _clip(self, x: Value, low: float, high: float) -> Value:
        return self._op("clip", x, a_min=low, a_max=high)

    def _round(self, x: Value) -> Value:
        """floor(x + 1/2), which `straight` passes the gradient through."""
        return self._op("floor", self._op("_plus_scalar", x, scalar=0.5))

    def _reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        return self._op("Reshape", x, shape=shape)
