"""Gains on channels of a layer's input that are much smaller than others, taken off again by the layer's weights.

    conv(x, W)    =>    conv(x * g, W / g)    with g > 0 per channel

The 8-bit form in which a layer reads x has one step for all channels, which a few large channels decide. Equalization
(`mrt.transform.equalize`) moves gains into the layers before, which works only through functions that commute with
them; here they are a multiplication per channel, where x becomes 8 bits. They still go into the layer that made x where
nothing but ReLU, pooling and factors is in between. Of joined tensors each gets its own part, before they are joined.
`mrt.transform.gain_choice` says which layers get gains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import integer, text
from mrt.transform.base import Builder, Pass
from mrt.transform.channel_paths import is_layer


class ChannelGains(Pass):
    """Multiplies the inputs of layers by gains and divides their weights by them.

    Args:
        gains: per channel, by the layer's name; see `find_gains`.
    """

    name = "channel_gains"

    def __init__(self, gains: Mapping[str, Array]) -> None:
        self._gains = gains

    def run(self, graph: Graph) -> Graph:
        """The graph with gains."""
        builder = Builder(graph)
        uses = graph.use_counts()
        scaled: dict[Node, Array] = {}  # layers whose outputs take a gain
        for node in graph.nodes():
            if node.name in self._gains:
                _absorb(node.inputs[0], self._gains[node.name], graph, uses, scaled)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.name not in self._gains and node not in scaled:
                return None
            builder.current = node
            weight, *bias = (graph.params[value.node.name] for value in node.inputs[1:])
            x = inputs[0]
            if node.name in self._gains:
                gain = self._gains[node.name]
                weight = weight / _per_weight(node, weight, gain)
                x = _multiplied(node.inputs[0], x, gain, graph, uses, scaled, builder)
            if node in scaled:
                after = scaled[node]
                weight = weight * after.reshape((-1,) + (1,) * (weight.ndim - 1))
                bias = [array * after for array in bias]
            return [Value(replace(node, inputs=(x, *map(builder.param, (weight, *bias)))))]

        return graph.rebuild(visit, builder.params)


def _absorb(value: Value, gain: Array, graph: Graph, uses: Mapping[Value, int], scaled: dict[Node, Array]) -> None:
    """Note the layers that can put a gain on their outputs themselves."""
    if _joins(value, uses):
        for part, own in _parts(value, gain, graph):
            _absorb(part, own, graph, uses, scaled)
    elif (layer := _maker(value, graph, uses)) is not None and (gain != 1).any():
        scaled[layer] = gain


def _multiplied(
    old: Value,
    new: Value,
    gain: Array,
    graph: Graph,
    uses: Mapping[Value, int],
    scaled: Mapping[Node, Array],
    builder: Builder,
) -> Value:
    """`new`, which stands for `old`, with the gain."""
    if _joins(old, uses):
        parts = [
            _multiplied(part, value, own, graph, uses, scaled, builder)
            for (part, own), value in zip(_parts(old, gain, graph), new.node.inputs)
        ]
        return Value(replace(new.node, inputs=tuple(parts)))
    if (gain == 1).all() or _maker(old, graph, uses) in scaled:
        return new
    rank = len(builder.shape(old))
    return builder.op("broadcast_mul", [new, builder.param(gain.reshape((1, -1) + (1,) * (rank - 2)))])


def _joins(value: Value, uses: Mapping[Value, int]) -> bool:
    """Whether the value is of tensors joined along the channels that no one else reads joined."""
    return value.node.op == "Concat" and integer(value.node, "dim", 1) == 1 and uses[value] == 1


def _parts(value: Value, gain: Array, graph: Graph) -> list[tuple[Value, Array]]:
    shapes = infer_shapes(graph)
    edges = np.cumsum([shapes[part][1] for part in value.node.inputs])[:-1]
    return list(zip(value.node.inputs, np.split(gain, edges)))


def _maker(value: Value, graph: Graph, uses: Mapping[Value, int]) -> Node | None:
    """The layer that makes the value, where a gain passes through all in between, and no one else reads any of it."""
    while uses[value] == 1:
        node = value.node
        if is_layer(node, graph):
            return node
        scales = node.op == "broadcast_mul" and graph.constant(node.inputs[1]) is not None
        clamps = node.op == "Activation" and text(node, "act_type") == "relu"
        if not (scales or clamps or node.op == "Pooling"):
            return None
        value = node.inputs[0]
    return None


def _per_weight(node: Node, weight: Array, gain: Array) -> Array:
    """The gain of the channel that each weight (O, I / groups, …) reads."""
    groups = integer(node, "num_group", 1) if node.op == "Convolution" else 1
    rows: Array = np.repeat(gain.reshape(groups, -1), len(weight) // groups, axis=0)
    return rows.reshape(rows.shape + (1,) * (weight.ndim - 2))
