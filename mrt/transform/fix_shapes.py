"""Makes constants of what depends on the shape of the network's data only, as anchors do.

slice_like(anchors, x)    =>   slice(anchors)    =>   param
"""

from __future__ import annotations

from collections.abc import Sequence

from mrt import ops
from mrt.graph import Graph, Node, Value
from mrt.transform.base import Builder, Pass
from mrt.transform.fold_constants import FoldConstants

_SHAPED = ("slice_like", "RNN")


class FixShapes(Pass):
    """Leaves no slice_like and no RNN, whose first state's shape is open; the sizes are those of Input_shape."""

    name = "fix_shapes"

    def run(self, graph: Graph) -> Graph:
        """The network, for this input shape."""
        builder = Builder(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.op not in _SHAPED:
                return None
            builder.current = node
            return ops.get(node.op).rewrite(node, inputs, builder)

        return FoldConstants().run(graph.rebuild(visit, builder.params))
