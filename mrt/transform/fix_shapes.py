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
from mrt.graph.attrs import axes_of, flag, integer, integers, optional_integers
from mrt.transform.base import Builder, Pass
from mrt.transform.fold_constants import FoldConstants

_SHAPED = ("slice_like", "RNN", "shape_array")
_FILLED = {"_zeros": 0.0, "zeros": 0.0, "_ones": 1.0, "ones": 1.0}
_BROADCAST = {f"elemwise_{kind}": f"broadcast_{kind}" for kind in ("add", "sub", "mul", "div")}
_BROADCAST |= {"_plus": "broadcast_add", "_minus": "broadcast_sub", "_mul": "broadcast_mul", "_div": "broadcast_div"}


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
                return [builder.param(np.full(one_row[node], _FILLED[node.op]))]
            if node.op in _BROADCAST and node in dynamic and any(value.node not in dynamic for value in node.inputs):
                return [Value(replace(node, op=_BROADCAST[node.op], inputs=inputs, attrs={}))]
            if node.op not in _SHAPED or not _settled(node, graph, builder):
                return None
            if node.op == "shape_array":
                return [builder.param(np.array(builder.shape(node.inputs[0])))]
            return ops.get(node.op).rewrite(node, inputs, builder)

        return FoldConstants().run(graph.rebuild(visit, builder.params))


def _one_row(graph: Graph) -> dict[Node, Shape]:
    """The tensors of one number that have a row for each sample, and the shape of one that has a row for all."""
    users = graph.consumers()
    read_by_rnn = {value.node for node in graph.nodes() if node.op == "RNN" for value in node.inputs}
    filled = [node for node in graph.nodes() if node.op in _FILLED and not node.inputs and node not in read_by_rnn]
    filled = [node for node in filled if 0 in integers(node, "shape", ()) and Value(node) in users]
    if not filled:
        return {}
    try:
        one, two = (infer_shapes(graph, batch) for batch in (1, 2))
    except MRTError:  # a network for one sample at a time: it has one row of each
        return {}
    return {node: one[Value(node)] for node in filled if one[Value(node)] != two[Value(node)]}


def _settled(node: Node, graph: Graph, builder: Builder) -> bool:
    """Whether the size of the batch does not matter to what the node gives."""
    if node.op == "slice_like":
        shape, like = (builder.open_shape(value) for value in node.inputs)
        axes = set(axes_of(node, "axes", len(shape), ())) or set(range(len(shape)))
        return all(like[axis] != -1 or shape[axis] == -1 for axis in axes)
    if node.op == "shape_array":
        batch = [i for i, size in enumerate(builder.open_shape(node.inputs[0])) if size == -1]
        users = graph.consumers().get(Value(node), [])
        return bool(users) and not any(_reads(user, place, graph) for user in users for place in batch)
    return True


def _reads(node: Node, place: int, graph: Graph) -> bool:
    """Whether a node may read the entry at a place of a vector."""
    if node.op == "slice_axis":
        last = node.attrs.get("end", "None")
        return integer(node, "begin") <= place and (last == "None" or int(last) > place or int(last) < 0)
    if node.op == "slice":
        ((begin, *_), (end, *_)) = (optional_integers(node, key) or (None,) for key in ("begin", "end"))
        return (begin or 0) <= place and (end is None or end > place or end < 0)
    if node.op in ("SliceChannel", "split") and flag(node, "squeeze_axis", False):
        return bool(graph.consumers().get(Value(node, place)) or Value(node, place) in graph.outputs)
    return True
