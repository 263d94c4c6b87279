"""Multiplies channels by gains that the layers that read them take off again: the network computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mrt import ops
from mrt.graph import Array, Graph, Node, Value
from mrt.transform.base import Builder
from mrt.transform.channel_paths import Channels, is_layer


def scale_channels(graph: Graph, channels: Channels, gain: Array) -> Graph:
    """The graph with the gains in the layers around, or as multiplications of what no layer made.

    Args:
        graph: a prepared network.
        channels: its channels.
        gain: of each, by its number; 1 of those that are kept.
    """
    builder = Builder(graph)
    made = set(channels.made)

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        out = Value(node)
        builder.current = node
        if out in made and (gain[channels.of[out]] != 1).any():
            factor = builder.param(gain[channels.of[out]])
            return [builder.op("broadcast_mul", [Value(replace(node, inputs=inputs)), factor])]
        if not is_layer(node, graph) or out not in channels.of:
            return None
        after, read = gain[channels.of[out].reshape(-1)], channels.read(node)
        before = np.ones(1) if read is None else gain[read]
        if (before == 1).all() and (after == 1).all():
            return None
        weight, *bias = (graph.params[value.node.name] for value in node.inputs[1:])
        scaled = [weight * _factors(node, weight, before, after), *(array * after for array in bias)]
        return [Value(replace(node, inputs=(inputs[0], *map(builder.param, scaled))))]

    return graph.rebuild(visit, builder.params)


def _factors(node: Node, weight: Array, before: Array, after: Array) -> Array:
    """What each weight (O, I / groups, …) is multiplied with, for the gains of its input and output channels."""
    layer = ops.layer(node)
    assert layer is not None
    groups = layer.groups(node)
    inputs = np.broadcast_to(before, groups * weight.shape[1]).reshape(groups, -1)
    factors: Array = after[:, None] / np.repeat(inputs, len(weight) // groups, axis=0)
    return factors.reshape(factors.shape + (1,) * (weight.ndim - 2))
