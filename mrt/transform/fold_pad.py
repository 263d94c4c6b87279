"""Folds zero padding of the spatial axes into the convolution after it.

    conv(pad(x, 0 1 0 1), w 3x3, stride 2)    =>    conv(x, w 4x4 with a first row and column of zeros, pad 1, stride 2)

The target's convolution pads both sides alike, so uneven padding is evened out by widening the kernel with zeros on the
side that had less: the extra taps see the extra padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mrt.graph import Graph, Node, Value, origins
from mrt.graph.attrs import number, pair, text
from mrt.ops.pad import pad_width
from mrt.transform.base import Builder, Pass


class FoldPad(Pass):
    """Leaves no zero padding whose only readers are convolutions."""

    name = "fold_pad"

    def run(self, graph: Graph) -> Graph:
        """The folded graph."""
        builder = Builder(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.op != "Convolution" or inputs[0].node.op != "Pad":
                return None
            pad = inputs[0].node
            width = pad_width(pad)
            weight = builder.constant(inputs[1])
            if weight is None or len(width) != 4 or any(width[0] + width[1]):
                return None
            if text(pad, "mode") != "constant" or number(pad, "constant_value", 0.0) != 0:
                return None
            builder.current = node
            dilate, own = pair(node, "dilate", (1, 1)), pair(node, "pad", (0, 0))
            uneven = [after - before for before, after in width[2:]]
            if any(difference % step for difference, step in zip(uneven, dilate)):
                return None
            taps = [difference // step for difference, step in zip(uneven, dilate)]
            grown = np.pad(weight, [(0, 0), (0, 0), *[(max(t, 0), max(-t, 0)) for t in taps]])
            even = tuple(mine + max(side) for mine, side in zip(own, width[2:]))
            attrs = {**node.attrs, "pad": str(even), "kernel": str(grown.shape[2:])}
            new = (pad.inputs[0], builder.param(grown) if any(taps) else inputs[1], *inputs[2:])
            return [Value(replace(node, inputs=new, attrs=attrs, origin=origins([pad, node])))]

        return graph.rebuild(visit, builder.params)
