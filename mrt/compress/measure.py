"""What a network costs: multiply-adds, parameters and bytes, before and after channels go."""

from __future__ import annotations

from dataclasses import dataclass

from mrt import ops
from mrt.compress.groups import ChannelGroups
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Value


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
        layer = ops.layer(node)
        weight = graph.constant(node.inputs[1]) if layer else None
        if layer and weight is not None:
            macs += int(weight.size) * layer.positions(shapes[node.inputs[0]], shapes[Value(node)])
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
            layer = ops.layer(node)
            if layer and graph.constant(node.inputs[1]) is not None:
                name, shapes = node.inputs[1].node.name, groups.shapes
                often = layer.positions(shapes[node.inputs[0]], shapes[Value(node)])
                self._positions[name] = self._positions.get(name, 0) + often

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
