"""Gains on channels of a layer's input that are much smaller than others, taken off again by the layer's weights.

    conv(x, W)    =>    conv(x * g, W / g)    with g > 0 per channel

The 8-bit form in which a layer reads x has one step for all channels, which a few large channels decide. Equalization
(`mrt.transform.equalize`) moves gains into the layers before, which works only through functions that commute with
them; here they are a multiplication per channel, where x becomes 8 bits. They still go into the layer that made x where
nothing but ReLU, pooling, movements and factors is in between. Of joined tensors each gets its own part, before they
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
from mrt.graph.channels import numbered
from mrt.transform.base import Builder, Pass
from mrt.transform.channel_paths import carried, is_layer


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
                new[index] = builder.op("broadcast_mul", [new[index], builder.param(gain)])
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

    A gain here is an array of the tensor's rank, of size 1 along axes along which it stays the same.

    Attributes:
        scaled: the gain of each layer's outputs that takes one, (C,).
        factors: the gain of a node's input, by the node and the input's number.
    """

    def __init__(self, graph: Graph) -> None:
        self.scaled: dict[Node, Array] = {}
        self.factors: dict[tuple[Node, int], Array] = {}
        self._graph = graph
        self._shapes = infer_shapes(graph)
        self._uses = graph.use_counts()

    def find(self, layer: Node, gain: Array) -> None:
        """Note where the gain of a layer's input channels, (C,), goes."""
        rank = len(self._shapes[layer.inputs[0]])
        self._enter(layer, 0, gain.reshape((1, -1) + (1,) * (rank - 2)))

    def _enter(self, reader: Node, index: int, gain: Array) -> None:
        """Put the gain on what makes a node's input, or on the input itself unless it goes in there."""
        if (gain == 1).all():
            return
        if not self._enters(reader.inputs[index], gain):
            self.factors[reader, index] = gain
            return
        node = reader.inputs[index].node
        if is_layer(node, self._graph):
            self.scaled[node] = gain.reshape(-1)
            return
        for part in self._before(node, gain) or []:
            self._enter(*part)

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
        if len(parts) > 1:
            return all(part.shape[0] == 1 for _, _, part in parts)  # it may be the batch's axis
        ((node, index, part),) = parts
        return self._enters(node.inputs[index], part)

    def _before(self, node: Node, gain: Array) -> list[tuple[Node, int, Array]] | None:
        """The inputs, of this node or of one before it, whose gains become this one of its output; None where none do.

        Movements may make a gain per channel of what no factor per channel made in between, as in a channel shuffle.
        """
        path = [node]
        while True:
            parts = self._through(path, gain)
            if parts is not None:
                return parts
            dynamic = [value for value in path[-1].inputs if self._graph.constant(value) is None]
            if len(dynamic) != 1 or self._uses[dynamic[0]] != 1:
                return None
            path.append(dynamic[0].node)

    def _through(self, path: Sequence[Node], gain: Array) -> list[tuple[Node, int, Array]] | None:
        """The gains per channel of the inputs of the last node that become this one of the first node's output."""
        *after, node = path
        given: list[Array | None] = []
        count = 0
        for value in node.inputs:
            shape = self._shapes[value]
            if self._graph.constant(value) is not None:
                given.append(None)
                continue
            if len(shape) < 2:
                return None
            given.append(numbered(shape, count))
            count += shape[1]
        numbers = self._carried(node, given) if count else None
        for later in reversed(after):
            if numbers is None:
                return None
            moved = [None if self._graph.constant(value) is not None else numbers for value in later.inputs]
            numbers = self._carried(later, moved)
        if numbers is None:
            return None
        of, wanted = np.broadcast_arrays(numbers, gain)
        low, high = np.full(count, np.inf, gain.dtype), np.full(count, -np.inf, gain.dtype)
        np.minimum.at(low, of, wanted)
        np.maximum.at(high, of, wanted)
        unread = low > high
        if (low != high)[~unread].any():
            return None
        low[unread] = 1
        return [(node, index, low[ids]) for index, ids in enumerate(given) if ids is not None]

    def _carried(self, node: Node, given: Sequence[Array | None]) -> Array | None:
        clamp = ops.of(node).bounds(node)
        if clamp is not None:
            return given[0] if clamp in ((0.0, np.inf), (-np.inf, np.inf)) else None
        return carried(node, given, self._graph, self._shapes)


def _per_weight(node: Node, weight: Array, gain: Array) -> Array:
    """The gain of the channel that each weight (O, I / groups, …) reads."""
    groups = integer(node, "num_group", 1) if node.op == "Convolution" else 1
    rows: Array = np.repeat(gain.reshape(groups, -1), len(weight) // groups, axis=0)
    return rows.reshape(rows.shape + (1,) * (weight.ndim - 2))
