"""What a network costs: multiply-adds, parameters and bytes, before and after channels go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrt.compress.groups import ChannelGroups
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Value

_LAYERS = ("Convolution", "Deconvolution", "FullyConnected")


@dataclass(frozen=True)
class Cost:
    """Of a float network, for one picture.

    Attributes:
        macs: multiply-adds of convolutions and dense layers.
        parameters: how many numbers it has, moving statistics included.
        size: their bytes.
        channels: that its layers make, of those that can be removed.
    """

    macs: int
    parameters: int
    size: int
    channels: int = 0


def cost(graph: Graph) -> Cost:
    """Of a network as it is."""
    shapes = infer_shapes(graph)
    macs = 0
    for node in graph.nodes():
        weight = graph.constant(node.inputs[1]) if node.op in _LAYERS else None
        if weight is not None:
            positions = shapes[node.inputs[0] if node.op == "Deconvolution" else Value(node)]
            plane = positions[2:] if node.op != "FullyConnected" else positions[1:-1]
            macs += int(weight.size) * int(np.prod(plane))
    parameters = sum(int(array.size) for array in graph.params.values())
    return Cost(macs, parameters, sum(int(array.nbytes) for array in graph.params.values()))


class CostOfPruned:
    """What a network would cost without some units, told without making it."""

    def __init__(self, groups: ChannelGroups) -> None:
        """Of the network that `groups` is of."""
        self._groups = groups
        graph = groups.graph
        self._cuts: dict[str, dict[int, Array]] = {}
        self._positions: dict[str, int] = {}
        for node, needs in groups.needs.items():
            for position, axis, ids in needs.cuts:
                self._cuts.setdefault(node.inputs[position].node.name, {})[axis] = groups.units_of(ids)
            if node.op in _LAYERS and graph.constant(node.inputs[1]) is not None:
                shape = groups.shapes[node.inputs[0] if node.op == "Deconvolution" else Value(node)]
                plane = shape[2:] if node.op != "FullyConnected" else shape[1:-1]
                name = node.inputs[1].node.name
                self._positions[name] = self._positions.get(name, 0) + int(np.prod(plane))

    def __call__(self, gone: Array) -> Cost:
        """`gone` says of each unit whether it is removed."""
        macs = parameters = size = 0
        for name, array in self._groups.graph.params.items():
            left = float(array.size)
            for units in self._cuts.get(name, {}).values():
                left *= 1 - float(gone[units].mean())
            count = round(left)
            macs += count * self._positions.get(name, 0)
            parameters += count
            size += count * array.itemsize
        channels = sum(len(group.units) - int(gone[group.units].sum()) for group in self._groups.groups)
        return Cost(macs, parameters, size, channels)
