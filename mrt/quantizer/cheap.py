"""Finds the layers that read 16 bits without being asked: those that can at next to no cost, for they see one position
of each picture, and those that read an input of more than 8 bits.

Squeeze-and-excite gates, and the classifier behind global pooling, are a small part of a network, so that the second
product that a 16-bit input costs them (`mrt.integer.limbs`) is hardly noticed. An error in a gate multiplies
a whole channel.
"""

from __future__ import annotations

from collections.abc import Mapping

from mrt import ops
from mrt.calibrate.gather import constant_layers
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Shape, Value
from mrt.integer.form import ExtraBits

_SHARE_OF_MACS = 0.02
_SMALL, _SHARE_OF_SMALL = 0.004, 0.01  # of a network's products, and of its weights: one layer's, and all such layers'
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


def small_layers(graph: Graph) -> ExtraBits:
    """16 bits of inputs and weights for the layers that are hardly any work, however many positions they have.

    Such are the first layer for small pictures, those where a residual stream changes size, and small heads.
    An input of the network has the bits that it has.
    """
    shapes, layers = infer_shapes(graph), constant_layers(graph)
    macs = {layer: multiply_accumulates(layer, graph, shapes) for layer in layers}
    sizes = {layer: int(graph.params[layer.inputs[1].node.name].size) for layer in layers}
    macs_left, sizes_left = (_SHARE_OF_SMALL * sum(each.values()) for each in (macs, sizes))
    most_macs, most_weights = _SMALL * sum(macs.values()), _SMALL * sum(sizes.values())
    chosen = []
    for layer in sorted(layers, key=macs.__getitem__):
        operator = ops.layer(layer)
        assert operator is not None
        if operator.groups(layer) > 1 or sizes[layer] > most_weights:
            continue  # those of many groups take more time than their number of products says
        macs_left, sizes_left = macs_left - macs[layer], sizes_left - sizes[layer]
        if min(macs_left, sizes_left) < 0 or macs[layer] > most_macs:
            break
        chosen.append(layer)
    inner = (layer.name for layer in chosen if layer.inputs[0].node.name not in graph.inputs)
    return ExtraBits(frozenset(inner), frozenset(layer.name for layer in chosen))


def input_layers(graph: Graph) -> ExtraBits:
    """Extra bits for the layers that read the network's input, or what constants were multiplied with or added to."""
    read = [Value(node) for node in graph.nodes() if node.name in graph.inputs]
    found = set()
    consumers = graph.consumers()
    while read:
        for node in consumers.get(read.pop(), ()):
            constants = [graph.constant(value) is not None for value in node.inputs]
            if ops.layer(node):
                found.add(node.name)
            elif ops.get(node.op).moves or (ops.get(node.op).affine and any(constants)):
                read.append(Value(node))
    return ExtraBits(inputs=frozenset(found))


def positions(layer: Node, shapes: Mapping[Value, Shape]) -> int:
    """How often a convolution or dense layer uses each of its weights for one picture."""
    operator = ops.layer(layer)
    assert operator is not None
    return operator.positions(shapes[layer.inputs[0]], shapes[Value(layer)])


def multiply_accumulates(layer: Node, graph: Graph, shapes: Mapping[Value, Shape]) -> int:
    """Of a convolution or dense layer, for one picture."""
    return int(graph.params[layer.inputs[1].node.name].size) * positions(layer, shapes)
