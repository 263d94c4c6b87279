"""Makes constants of what depends on the shape of the network's data only, as anchors do.

slice_like(anchors, x)    =>   slice(anchors)    =>   param
shape_array(x)[2]         =>   param
_zeros(shape=(0, 6)) * x  =>   broadcast_mul(param, x)      the first state of an unrolled cell: a row for every sample
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mrt import ops
from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Shape, Value
from mrt.graph.attrs import integers
from mrt.ops.filled import FILLED
from mrt.transform.base import Builder, Pass
from mrt.transform.fold_constants import FoldConstants

_SHAPE = "shape_array"  # MXNet's, of which nothing is left


class FixShapes(Pass):
    """Leaves no slice_like, no shape_array and no RNN, whose first state's shape is open; sizes are Input_shape's.

    What depends on the size of the batch, too, stays: it has no value before there is one.
    """

    name = "fix_shapes"

    def run(self, graph: Graph) -> Graph:
        """The network, for this input shape."""
        builder = Builder(graph)
        dynamic = graph.dynamic()
        one_row = _one_row(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            builder.current = node
            if node in one_row:
                return [builder.param(np.full(one_row[node], FILLED[node.op]))]
            operator = ops.of(node)
            mixed = node in dynamic and any(value.node not in dynamic for value in node.inputs)
            if operator.spreading not in (None, node.op) and len(node.inputs) == 2 and mixed:
                return [Value(replace(node, op=str(operator.spreading), inputs=inputs, attrs={}))]
            if node.op == _SHAPE and _settled(node, graph, builder):
                return [builder.param(np.array(builder.shape(node.inputs[0])))]
            return (
                operator.rewrite(node, inputs, builder) if operator.sized and operator.settled(node, builder) else None
            )

        return FoldConstants().run(graph.rebuild(visit, builder.params))


def _one_row(graph: Graph) -> dict[Node, Shape]:
    """The tensors of one number that have a row for each sample, and the shape of one that has a row for all."""
    users = graph.consumers()
    states = {value.node for node in graph.nodes() if ops.of(node).sized for value in node.inputs}
    filled = [node for node in graph.nodes() if node.op in FILLED and not node.inputs and node not in states]
    filled = [node for node in filled if 0 in integers(node, "shape", ()) and Value(node) in users]
    if not filled:
        return {}
    try:
        one, two = (infer_shapes(graph, batch) for batch in (1, 2))
    except MRTError:  # a network for one sample at a time: it has one row of each
        return {}
    return {node: one[Value(node)] for node in filled if one[Value(node)] != two[Value(node)]}


def _settled(node: Node, graph: Graph, builder: Builder) -> bool:
    """Whether the size of the batch is not read from the shape that the node gives."""
    consumers = graph.consumers()
    batch = [i for i, size in enumerate(builder.open_shape(node.inputs[0])) if size == -1]
    users = consumers.get(Value(node), [])

    def used(value: Value) -> bool:
        return bool(consumers.get(value)) or value in graph.outputs

    return bool(users) and not any(ops.of(user).reads(user, place, used) for user in users for place in batch)
