"""Which channels of a network can be removed, and which only together.

Every channel that a layer makes has a number. The numbers are followed through the graph; an operator that reads two
channels as one (a residual sum), or that needs equal counts (a grouped convolution), ties them. What is tied is one
unit, and is removed from all tensors, weights and attributes at once. Units of the same layers form a group, as in
DepGraph (Fang et al., DepGraph: Towards any structural pruning, 2023), of which this is the graph rewrite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mrt import ops
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Node, Shape, Value
from mrt.graph.layout import Layout
from mrt.ops.base import NotFollowedError

Change = Callable[[tuple[Value, ...], Array], Sequence[Value]]


@dataclass
class Needs:
    """What has to be changed of a node when channels go.

    Attributes:
        cuts: (input, axis, channel numbers along it), of parameters.
        counts: attributes that are the number of channels kept of these.
        change: channel numbers, and what replaces its outputs where some of them go.
    """

    cuts: list[tuple[int, int, Array]] = field(default_factory=list)
    counts: dict[str, Array] = field(default_factory=dict)
    change: tuple[Array, Change] | None = None


@dataclass(frozen=True, eq=False)
class Group:
    """Layers whose channels go together.

    Attributes:
        layers: that make them, in the network's order.
        units: the numbers of its units that can be removed, sorted.
        reason: why there are none, in words.
    """

    layers: tuple[Node, ...]
    units: Array
    reason: str | None = None

    @property
    def name(self) -> str:
        """Its first layer's."""
        return self.layers[0].name


class ChannelGroups:
    """The channels of a network of one input whose first axis is the batch.

    Attributes:
        graph: the network.
        shapes: of its values, batch 1.
        needs: what each node needs changed.
        layers: the channel numbers that each layer makes.
        groups: the groups, in the network's order.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes: Mapping[Value, Shape] = infer_shapes(graph)
        self.needs: dict[Node, Needs] = {}
        self.layers: dict[Node, Array] = {}
        self._layouts: dict[Value, Layout] = {}
        self._count = 0
        self._ties: list[tuple[Array, Array]] = []
        self._fixed: list[tuple[Array, str]] = []
        self._cut_params: dict[tuple[str, int], Array] = {}
        self._readers: dict[str, int] = {}
        dynamic = graph.dynamic()
        for node in graph.nodes():
            if node.name in graph.inputs:
                self._set_fixed(Value(node), f"they are the input {node.name}")
            elif node in dynamic:
                self._follow(node)
        for value in graph.outputs:
            self._fix_value(value, f"they are the output {value.name}")
        self._fix_partly_cut()
        self._number()

    # For the operators' rules, as `mrt.ops.base.ChannelNumbers` has it ---------------------------------------------

    def read(self, node: Node, position: int = 0) -> Layout:
        """The channels of an input; NotFollowedError where that is a constant."""
        layout = self.layout(node.inputs[position])
        if layout is None:
            raise NotFollowedError(f"{node.op} {node.name} reads a constant there")
        return layout

    def layout(self, value: Value) -> Layout | None:
        """The channels of a value, None of a constant."""
        return self._layouts.get(value)

    def set(self, value: Value, layout: Layout) -> None:
        """The channels of an output; those at one position of the channel axis are tied."""
        slices = layout.slices()
        if slices.shape[1] > 1:
            self.tie(slices[:, :1], slices)
        self._layouts[value] = layout

    def make(self, node: Node, attribute: str, count: int, axis: int) -> Array:
        """As many new ones, along an axis of a layer's output."""
        ids = self.layers[node] = self._new(count)
        self.set(Value(node), Layout.along(ids, axis, len(self.shapes[Value(node)])))
        self.count(node, attribute, ids)
        return ids

    def tie(self, one: Array, other: Array) -> None:
        """These go together only."""
        one, other = np.broadcast_arrays(one, other)
        self._ties.append((one.ravel(), other.ravel()))

    def fix(self, ids: Array, reason: str) -> None:
        """These stay."""
        self._fixed.append((ids.ravel(), reason))

    def cut(self, node: Node, position: int, axis: int, ids: Array) -> None:
        """These are counted along an axis of a parameter."""
        value = node.inputs[position]
        if self.graph.constant(value) is None:
            self.fix(ids, f"{node.op} {node.name} has computed weights")
            return
        key = (value.node.name, axis)
        if key in self._cut_params:  # shared by layers
            self.tie(self._cut_params[key], ids)
        self._cut_params[key] = ids
        self._readers[value.node.name] = self._readers.get(value.node.name, 0) + (0 if self._has(node, position) else 1)
        self.needs[node].cuts.append((position, axis, ids))

    def count(self, node: Node, attribute: str, ids: Array) -> None:
        """The attribute is how many of these are kept."""
        self.needs[node].counts[attribute] = ids

    def change(self, node: Node, ids: Array, change: Change) -> None:
        """What replaces the node's outputs where some of these go."""
        self.needs[node].change = (ids, change)

    # What follows -------------------------------------------------------------------------------------------------

    def units_of(self, ids: Array) -> Array:
        """The units of channels, by number."""
        found: Array = self._unit[ids]
        return found

    def layer_units(self, layer: Node) -> Array:
        """The unit of each channel that a layer makes."""
        return self.units_of(self.layers[layer])

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return int(self._unit.max(initial=-1)) + 1

    def _follow(self, node: Node) -> None:
        """By the operator's rule; where it has none, all that the node reads and makes stays."""
        needs = self.needs[node] = Needs()
        try:
            ops.of(node).follow(node, self)
        except NotFollowedError as problem:
            for value in node.inputs:
                self._fix_value(value, str(problem))
            if node in self.layers:
                self.fix(self.layers[node], str(problem))
            needs.cuts.clear()
            needs.counts.clear()
            for value in [value for value in self.shapes if value.node is node]:
                self._set_fixed(value, str(problem))

    def _new(self, count: int) -> Array:
        first, self._count = self._count, self._count + count
        return np.arange(first, self._count)

    def _set_fixed(self, value: Value, reason: str) -> None:
        """New channels along axis 1 of a value, which cannot be removed."""
        shape = self.shapes.get(value, ())
        ids = self._new(shape[1] if len(shape) > 1 else 1)
        self.set(value, Layout.along(ids, min(1, len(shape) - 1), max(1, len(shape))))
        self.fix(ids, reason)

    def _fix_value(self, value: Value, reason: str) -> None:
        if value in self._layouts:
            self.fix(self._layouts[value].ids, reason)

    def _has(self, node: Node, position: int) -> bool:
        return any(cut[0] == position for cut in self.needs[node].cuts)

    def _fix_partly_cut(self) -> None:
        """A parameter that someone reads who would not have it cut."""
        uses = self.graph.use_counts()
        for node, needs in self.needs.items():
            for position, _, ids in needs.cuts:
                value = node.inputs[position]
                if uses[value] != self._readers[value.node.name]:
                    self.fix(ids, f"parameter {value.node.name} is read by other operators too")

    def _number(self) -> None:
        left, right = (np.concatenate([np.zeros(0, int), *side]) for side in zip(*self._ties, ([], [])))
        tied = coo_matrix((np.ones(len(left)), (left, right)), shape=(self._count, self._count))
        _, self._unit = connected_components(tied, directed=False)
        reasons: dict[int, str] = {}
        for ids, reason in self._fixed:
            for unit in np.unique(self._unit[ids]):
                reasons.setdefault(int(unit), reason)
        self.groups = self._grouped(reasons)

    def _grouped(self, reasons: dict[int, str]) -> list[Group]:
        """Units that a layer has in common with another are of one group."""
        layers = list(self.layers)
        pairs = np.array(
            [(index, unit) for index, layer in enumerate(layers) for unit in np.unique(self.layer_units(layer))], int
        ).reshape(-1, 2)
        size = len(layers) + self.unit_count
        bipartite = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], len(layers) + pairs[:, 1])), shape=(size, size))
        _, number = connected_components(bipartite, directed=False)
        found: dict[int, list[Node]] = {}
        for index, layer in enumerate(layers):
            found.setdefault(int(number[index]), []).append(layer)
        return [self._group(members, reasons) for members in found.values()]

    def _group(self, layers: Sequence[Node], reasons: dict[int, str]) -> Group:
        units = np.unique(np.concatenate([self.layer_units(layer) for layer in layers]))
        free = np.array([unit for unit in units if int(unit) not in reasons], int)
        reason = None if len(free) else reasons[int(units[0])]
        single = next((layer for layer in layers if len(np.unique(self.layer_units(layer))) < 2), None)
        if len(free) and single is not None:
            free = free[:0]
            reason = f"those of {single.name} go only all together"
            if len(self.layers[single]) < 2:
                reason = f"{single.name} has one only"
        return Group(tuple(layers), free, reason)
