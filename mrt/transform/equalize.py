"""Cross-layer equalization: gives the channels between two layers similar ranges, so that one scale suits all of them.

    y = W2 f(W1 x + b1)    =>    y = (W2 / g) f((g W1) x + g b1)    for f(g x) = g f(x), a gain g > 0 per channel

(Nagel et al., 2019). Weights have a scale per output channel here, so g is not chosen to even out W1's rows as there,
but from the data: a channel whose largest value is r times that of the largest channel gets r^-1/2, half of what would
make them equal, since what evens out the input skews W2's rows; where all readers are depthwise, each of whose rows
reads one channel, nothing is skewed, and it gets r^-3/4 (not r^-1: ranges all alike leave no room for unseen pictures).

ReLU6 is no such f, since its bound does not scale. The gain of a channel that passes through a clip is at least 1 and
at most what leaves 16 times the channel's largest value below the bound. Less is not enough: unseen pictures reach
several times what the calibration set does in some channel, and what is clipped there costs more than a finer step
gains (a MobileNetV2: 20 dB with twice the largest value, 32 dB with 4 times, 45 dB with 8 times, in float). Layers
whose weights lie on a grid, because they were quantized before, are left alone: rounding finds that grid.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrt.graph import Array, Graph, Value
from mrt.integer.layer import common_step
from mrt.transform.base import Pass
from mrt.transform.channel_paths import Channels, is_layer
from mrt.transform.scale_channels import scale_channels

_POWER, _DEPTHWISE_POWER = 0.5, 0.75
_LARGEST_GAIN = 16.0
_HEADROOM = 16.0


class Equalize(Pass):
    """Leaves no channel between two layers much smaller than the others.

    Args:
        largest: the largest magnitude per channel of each value of `measured(graph)`, by the value's name.
    """

    name = "equalize"

    def __init__(self, largest: Mapping[str, Array]) -> None:
        self._largest = largest

    def run(self, graph: Graph) -> Graph:
        """The equalized graph."""
        channels = _channels(graph)
        return scale_channels(graph, channels, self._gains(graph, channels))

    def _gains(self, graph: Graph, channels: Channels) -> Array:
        relative, absolute = np.zeros((2, len(channels.fixed)))
        skewed = np.zeros(len(channels.fixed), dtype=bool)
        for layer in channels.layers():
            value = layer.inputs[0]
            largest, ids = self._largest[value.name].astype(np.float64), channels.read(layer)
            if ids is None:  # all of them fixed
                continue
            np.maximum.at(absolute, ids, largest)
            np.maximum.at(relative, ids, largest / max(float(largest.max()), 1e-30))
            skewed[ids] |= graph.params[layer.inputs[1].node.name].shape[1] > 1
        wanted = np.where(relative > 0, relative, 1.0) ** -np.where(skewed, _POWER, _DEPTHWISE_POWER)
        room = channels.bound / np.maximum(_HEADROOM * absolute, 1e-30)
        gain = np.clip(np.minimum(wanted, room), 1.0, _LARGEST_GAIN)
        return np.where(channels.fixed, 1.0, gain)


def measured(graph: Graph) -> list[Value]:
    """The values of which the pass needs the largest magnitude per channel (axis 1)."""
    return list(dict.fromkeys(layer.inputs[0] for layer in _channels(graph).layers()))


def _channels(graph: Graph) -> Channels:
    """The network's channels; those that a layer on a grid writes or reads are fixed too."""
    channels = Channels(graph)
    for node in graph.nodes():
        if is_layer(node, graph) and _on_grid(graph.params[node.inputs[1].node.name]):
            for value in (Value(node), node.inputs[0]):
                channels.fixed[channels.of.get(value, [])] = True
    return channels


def _on_grid(weight: Array) -> bool:
    return common_step(weight.reshape(len(weight), -1)) is not None
