"""Gains on channels of a layer's input that are much smaller than others, taken off again by the layer's weights.

    conv(x, W)    =>    conv(x * g, W / g)    with g > 0 per channel

The 8-bit form in which a layer reads x has one step for all channels, which a few large channels decide. Equalization
(`mrt.transform.equalize`) moves gains into the layers before, which works only through functions that commute with
them; here they are a multiplication per channel, where x becomes 8 bits. They still go into the layer that made x where
nothing but ReLU, pooling, flattening and factors is in between. Of joined tensors each gets its own part, before they
are joined.
`mrt.transform.gain_choice` says which layers get gains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mrt import ops
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import integer
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
        places = _Places(graph)
        for node in graph.nodes():
            if node.name in self._gains:
                places.find(node, self._gains[node.name])

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            factors = {index: gain for (reader, index), gain in places.factors.items() if reader == node}
            if not factors and node.name not in self._gains and node not in places.scaled:
                return None
            builder.current = node
            new = list(inputs)
            for index, gain in factors.items():
                shape = (1, -1) + (1,) * (len(places.shapes[node.inputs[index]]) - 2)
                new[index] = builder.op("broadcast_mul", [new[index], builder.param(gain.reshape(shape))])
            if node.name in self._gains or node in places.scaled:
                weight, *bias = (graph.params[value.node.name] for value in node.inputs[1:])
                if node.name in self._gains:
                    weight = weight / _per_weight(node, weight, self._gains[node.name])
                if node in places.scaled:
                    after = places.scaled[node]
                    weight = weight * after.reshape((-1,) + (1,) * (weight.ndim - 1))
                    bias = [array * after for array in bias]
                new[1:] = map(builder.param, (weight, *bias))
            return [Value(replace(node, inputs=tuple(new)))]

        return graph.rebuild(visit, builder.params)


class _Places:
    """Where gains go: into the layers that made what is read, or as factors on inputs of nodes.

    Attributes:
        scaled: the gain of each layer's outputs that takes one.
        factors: the gain of a node's input, by the node and the input's number.
        shapes: of all values, at batch 1.
    """

    def __init__(self, graph: Graph) -> None:
        self.scaled: dict[Node, Array] = {}
        self.factors: dict[tuple[Node, int], Array] = {}
        self.shapes = infer_shapes(graph)
        self._graph = graph
        self._uses = graph.use_counts()

    def find(self, layer: Node, gain: Array) -> None:
        """Note where the gain of a layer's input goes."""
        self._enter(layer, 0, gain, commit=self._enters(layer.inputs[0], gain))

    def _enter(self, reader: Node, index: int, gain: Array, commit: bool) -> None:
        """Put the gain on what makes a node's input, or on the input itself unless it goes in there (`commit`)."""
        if (gain == 1).all():
            return
        if not commit:
            self.factors[reader, index] = gain
            return
        node = reader.inputs[index].node
        if is_layer(node, self._graph):
            self.scaled[node] = gain
            return
        parts = self._before(node, gain) or []
        for number, part in parts:
            self._enter(node, number, part, commit=self._enters(node.inputs[number], part))

    def _enters(self, value: Value, gain: Array) -> bool:
        """Whether something before the value takes the gain, and no one else reads any of it: a layer, or tensors that
        are joined, each of which gets its own part.
        """
        if self._uses[value] != 1:
            return False
        if is_layer(value.node, self._graph):
            return True
        parts = self._before(value.node, gain)
        if parts is None:
            return False
        return len(parts) > 1 or self._enters(value.node.inputs[parts[0][0]], parts[0][1])

    def _before(self, node: Node, gain: Array) -> list[tuple[int, Array]] | None:
        """The gains of a node's inputs that become this one of its output; None where none do."""
        before = [self.shapes[value] for value in node.inputs]
        given: list[Array | None] = []
        count = 0
        for value, shape in zip(node.inputs, before):
            if self._graph.constant(value) is not None:
                given.append(None)
                continue
            if len(shape) < 2:
                return None
            given.append(np.arange(count, count + shape[1]))
            count += shape[1]
        operator = ops.of(node)
        clamp = operator.bounds(node)
        if clamp is not None:
            carried = given[0] if clamp in ((0.0, np.inf), (-np.inf, np.inf)) else None
        else:
            carried = operator.channels(node, given, before, self.shapes[Value(node)])
        if carried is None or len(carried) != len(gain):
            return None
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, carried, gain)
        np.maximum.at(high, carried, gain)
        if (low != high).any():
            return None
        return [(index, low[ids].astype(gain.dtype)) for index, ids in enumerate(given) if ids is not None]


def _per_weight(node: Node, weight: Array, gain: Array) -> Array:
    """The gain of the channel that each weight (O, I / groups, …) reads."""
    groups = integer(node, "num_group", 1) if node.op == "Convolution" else 1
    rows: Array = np.repeat(gain.reshape(groups, -1), len(weight) // groups, axis=0)
    return rows.reshape(rows.shape + (1,) * (weight.ndim - 2))
