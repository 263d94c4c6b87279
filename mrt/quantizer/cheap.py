"""Finds the layers that can read 16 bits at next to no cost: those that see one position of each picture.

Squeeze-and-excite gates, and the classifier behind global pooling, are a small part of a network, so that the second
product that a 16-bit input costs them (`mrt.quantizer.limbs`) is hardly noticed. An error in a gate multiplies
a whole channel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrt.calibrate.moments import constant_layers
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Shape, Value
from mrt.quantizer.limbs import ExtraBits

_SHARE_OF_MACS = 0.02
_SHARE_OF_WEIGHTS = 1 / 3  # where there is one position, the time goes into reading the weights


def cheap_layers(graph: Graph) -> ExtraBits:
    """Extra bits for the inputs of the layers of one position, the smallest first, within both shares."""
    shapes = infer_shapes(graph)
    layers = constant_layers(graph)
    sizes = {layer: graph.params[layer.inputs[1].node.name].size for layer in layers}
    macs_left = _SHARE_OF_MACS * sum(multiply_accumulates(layer, graph, shapes) for layer in layers)
    weights_left = _SHARE_OF_WEIGHTS * sum(sizes.values())
    chosen = set()
    for layer in sorted((layer for layer in layers if positions(layer, shapes) == 1), key=lambda layer: sizes[layer]):
        macs_left -= sizes[layer]
        weights_left -= sizes[layer]
        if min(macs_left, weights_left) < 0:
            break
        chosen.add(layer.name)
    return ExtraBits(inputs=frozenset(chosen))


def positions(layer: Node, shapes: Mapping[Value, Shape]) -> int:
    """How often a convolution or dense layer uses each of its weights for one picture."""
    out = shapes[Value(layer)]
    return int(np.prod(out[2:] if layer.op == "Convolution" else out[:-1]))


def multiply_accumulates(layer: Node, graph: Graph, shapes: Mapping[Value, Shape]) -> int:
    """Of a convolution or dense layer, for one picture."""
    return int(graph.params[layer.inputs[1].node.name].size) * positions(layer, shapes)
