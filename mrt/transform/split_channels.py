"""Outlier channels of a dense layer's input in several equal parts (Zhao et al., Improving neural network quantization
without retraining using outlier channel splitting, 2019).

    dense(x, W)    =>    dense(concat(x / n, copies of x / n), concat(W, copies of W))

with n_c the number of parts of channel c: n_c - 1 copies of it are appended. The form in which the layer reads x then
has to reach only a part as far, and its step is as much finer for all other channels. Unlike a gain
(`mrt.transform.channel_gains`), parts leave the weights as they are. `mrt.transform.split_choice` says which channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mrt.graph import Array, Graph, Node, Value
from mrt.transform.base import Builder, Pass


class SplitChannels(Pass):
    """Appends the copies, to the input and to the weights.

    Args:
        parts: how many parts each channel of the input gets, (K,), by the dense layer's name; see `find_splits`.
    """

    name = "split_channels"

    def __init__(self, parts: Mapping[str, Array]) -> None:
        self._parts = parts

    def run(self, graph: Graph) -> Graph:
        """The graph with parts."""
        builder = Builder(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.name not in self._parts:
                return None
            builder.current = node
            parts = self._parts[node.name]
            copies = np.repeat(np.arange(len(parts)), parts - 1)
            weight = graph.params[node.inputs[1].node.name]
            x = builder.op("broadcast_mul", [inputs[0], builder.param(1.0 / parts[None])])
            more = builder.op("take", [x, builder.param(copies)], {"axis": 1, "mode": "clip"})
            joined = builder.op("Concat", [x, more], {"dim": 1, "num_args": 2})
            wider = builder.param(np.concatenate([weight, weight[:, copies]], axis=1))
            return [Value(replace(node, inputs=(joined, wider, *inputs[2:])))]

        return graph.rebuild(visit, builder.params)
