"""Gains that layers share, where what they read is so uneven that 16 bits hold its smallest channels badly, too.

    conv1(x, W1), conv2(x, W2)    =>    conv1(x', W1 / g), conv2(x', W2 / g),    x' = g x

Joined tensors have one scale in 16 bits, and so has all that residual sums tie together: of channels a thousand times
smaller than others it keeps 6 bits. Gains on what one layer reads (`mrt.transform.channel_gains`) come after that. Here
they go back through sums, gates, joins and pooling to what makes the channels: into layers, or multiplications behind
functions. All the layers that read these channels take them off.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrt import ops
from mrt.graph import Array, Graph, Node, Value
from mrt.transform.base import Pass
from mrt.transform.channel_paths import Channels, is_layer
from mrt.transform.scale_channels import scale_channels

_UNEVEN = 2.0**5  # times smaller than the largest channel: 16 bits with room for unseen pictures leave it 10
_ALIKE = 2.0  # times: what is left of a layer's gains for itself is not worth a multiplication


class SharedGains(Pass):
    """Puts gains on channels.

    Args:
        gain: of each channel, by its number; see `share`.
    """

    name = "shared_gains"

    def __init__(self, gain: Array) -> None:
        self._gain = gain

    def run(self, graph: Graph) -> Graph:
        """The graph with gains."""
        return scale_channels(graph, Channels(graph), self._gain)


def share(graph: Graph, gains: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
    """The gain of each channel by its number, and the gains that are left to the layers for themselves.

    Args:
        graph: a prepared network.
        gains: of what a layer reads, (C,), by its name; see `mrt.transform.gain_choice`.
    """
    channels = Channels(graph)
    free = ~channels.kept & np.isinf(channels.bound)
    gain = np.full(len(free), np.nan)
    for node in reversed(graph.nodes()):
        read = channels.read(node) if is_layer(node, graph) else None
        wanted = None if read is None else _wanted(node, graph, gains, gain[channels.of[Value(node)].reshape(-1)])
        if read is None or wanted is None or wanted[free[read]].max(initial=1.0) < _UNEVEN:
            continue
        given = ~np.isnan(gain[read])
        if given.any():  # only how gains compare matters to a layer
            wanted = wanted * np.exp(np.mean(np.log(gain[read][given] / wanted[given])))
        fresh = free[read] & ~given
        gain[read[fresh]] = wanted[fresh]
    gain = np.where(np.isnan(gain), 1.0, gain)
    left = dict(gains)
    for node in graph.nodes():
        read = channels.read(node) if node.name in gains else None
        if read is not None and (gain[read] != 1).any():
            rest = gains[node.name] / gain[read]
            del left[node.name]
            if rest.max() > _ALIKE * rest.min():
                left[node.name] = rest.astype(np.float32)
    return gain, left


def _wanted(layer: Node, graph: Graph, gains: Mapping[str, Array], after: Array) -> Array | None:
    """The gains of what the layer reads, 1 at least: its own, or those of its output if it keeps channels apart."""
    if layer.name in gains:
        own = gains[layer.name].astype(np.float64)
    elif graph.params[layer.inputs[1].node.name].shape[1] == 1 and not np.isnan(after).all():
        operator = ops.layer(layer)
        assert operator is not None
        own = np.where(np.isnan(after), 1.0, after).reshape(operator.groups(layer), -1)[:, 0]
    else:
        return None
    scaled: Array = own / own.min()
    return scaled
