"""Follows the channels of tensors through a network: which can be scaled, and which only together.

A tensor's channels are given as the number of the channel that each of its entries belongs to: an array of the tensor's
rank at batch 1, of size 1 along axes along which the numbers stay the same. So they are followed through movements that
leave channels on several axes, as channel shuffles do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mrt import ops
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Node, Shape, Value
from mrt.graph.attrs import flag
from mrt.graph.channels import along_channels, numbered


class Channels:
    """The channels of the tensors that depend on the input, numbered; those that share a gain share a number.

    A gain is a factor above 0 that layers with constant weights can put on a channel and take off again. It passes
    through what commutes with it: ReLU, pooling, factors, be they constant or a gate's, movements, additions, clips.

    Attributes:
        of: the number of the channel that each entry of a tensor belongs to.
        made: tensors that are made by no layer, and so take a gain only as a multiplication of their own.
        kept: whether a channel is read by what cannot take a gain off, by number.
        fixed: whether it is, or is in a tensor that no layer made, by number.
        bound: the smallest bound of the clips that a channel passes through, by number.
    """

    def __init__(self, graph: Graph) -> None:
        self.of: dict[Value, Array] = {}
        self._graph = graph
        self._shapes = infer_shapes(graph)
        self._count = 0
        self._ties: list[tuple[Array, Array]] = []
        self._products: list[tuple[Value, Array, Array]] = []
        self._kept: list[Array] = []
        self.made: list[Value] = []
        self._bounds: list[tuple[Array, float]] = []
        dynamic = graph.dynamic()
        for node in graph.nodes():
            if node in dynamic:
                self._follow(node)
        self._kept += [self.of[value] for value in graph.outputs if value in self.of]
        self._number()

    def layers(self) -> list[Node]:
        """The layers that could take a gain of the layers before them off one of their input's channels."""
        found = [node for node in self._graph.nodes() if is_layer(node, self._graph) and node.inputs[0] in self.of]
        return [node for node in found if not self.fixed[self.of[node.inputs[0]]].all()]

    def read(self, layer: Node) -> Array | None:
        """The numbers of the channels (axis 1) that a layer reads, (C,); None where one channel is made of several."""
        value = layer.inputs[0]
        return along_channels(self.of[value], self._shapes[value]) if value in self.of else None

    def _follow(self, node: Node) -> None:
        """Number the channels of the node's output."""
        out = Value(node)
        inputs = [value for value in node.inputs if value in self.of]
        if is_layer(node, self._graph):
            if inputs and self.read(node) is None:
                self._kept.append(self.of[inputs[0]])
            self.of[out] = self._new(self._shapes[out])
            return
        numbers = self._carried(node, inputs) if inputs else None
        if numbers is not None:
            self.of[out] = numbers
            return
        self._kept += [self.of[value] for value in inputs]
        if len(self._shapes.get(out, ())) > 1:  # what only a node with several outputs lacks
            self.of[out] = self._new(self._shapes[out])
            if node.is_variable:
                self._kept.append(self.of[out])
            else:
                self.made.append(out)

    def _carried(self, node: Node, inputs: list[Value]) -> Array | None:
        """The channels of the node's output where they are those of its inputs."""
        first, shape, operator = self.of[inputs[0]], self._shapes.get(Value(node), ()), ops.of(node)
        if operator.adds and len(inputs) == 2 and all(self._shapes[value] == shape for value in inputs):
            one, other = np.broadcast_arrays(first, self.of[inputs[1]])
            self._ties.append((one.reshape(-1), other.reshape(-1)))
            return one
        if operator.passes_factors and len(inputs) == 2:
            return self._gated(node, inputs, shape)
        bounds = operator.bounds(node)
        if bounds is not None and bounds[0] <= 0 <= bounds[1]:
            self._bounds.append((first, min((abs(bound) for bound in bounds if bound), default=np.inf)))
            return first
        return carried(node, [self.of.get(value) for value in node.inputs], self._graph, self._shapes)

    def _gated(self, node: Node, inputs: list[Value], shape: Shape) -> Array | None:
        """The channels of a product: of the factor of its shape, of a layer rather than of a function."""
        whole = [value for value in inputs if self._shapes[value] == shape]
        if not whole:
            return None
        carrier = min(whole, key=lambda value: value in self.made)
        self._kept += [self.of[value] for value in inputs if value != carrier]
        numbers = self._new(shape)
        factor, own = np.broadcast_arrays(self.of[carrier], numbers)
        self._products.append((Value(node), factor, own))
        return numbers

    def _new(self, shape: Shape) -> Array:
        first, self._count = self._count, self._count + shape[1]
        return numbered(shape, first)

    def _number(self) -> None:
        """Give tied channels one number; a product has its factor's unless these are kept, as x is of x * f(x)."""
        number = self._tied()
        kept = np.zeros(self._count, dtype=bool)
        for ids in self._kept:
            kept[number[ids]] = True
        for product, factor, own in self._products:
            if kept[number[factor]].any():
                self.made.append(product)
            else:
                self._ties.append((factor.reshape(-1), own.reshape(-1)))
        number = self._tied()
        self.of = {value: number[ids] for value, ids in self.of.items()}
        count = number.max(initial=-1) + 1
        self.kept = np.zeros(count, dtype=bool)
        for ids in self._kept:
            self.kept[number[ids]] = True
        self.fixed = self.kept.copy()
        for value in self.made:
            self.fixed[self.of[value]] = True
        self.bound = np.full(count, np.inf)
        for ids, bound in self._bounds:
            np.minimum.at(self.bound, number[ids], bound)

    def _tied(self) -> Array:
        """For each number given, the one that it shares with those tied to it."""
        left, right = (np.concatenate([np.zeros(0, int), *side]) for side in zip(*self._ties, ([], [])))
        tied = coo_matrix((np.ones(len(left)), (left, right)), shape=(self._count, self._count))
        shared: Array = connected_components(tied, directed=False)[1]
        return shared


def carried(node: Node, given: Sequence[Array | None], graph: Graph, shapes: Mapping[Value, Shape]) -> Array | None:
    """The channels of a node's output, as those of its inputs (see `Operator.channels`)."""
    constants = [graph.constant(value) for value in node.inputs]
    before = [shapes[value] for value in node.inputs]
    return ops.of(node).channels(node, given, constants, before, shapes.get(Value(node), ()))


def is_layer(node: Node, graph: Graph) -> bool:
    """Whether it is a convolution or dense layer over axis 1 with constant weights and bias."""
    if ops.layer(node) is None:
        return False
    constants = node.inputs[1:2] if flag(node, "no_bias", False) else node.inputs[1:3]
    return all(graph.constant(value) is not None for value in constants)
