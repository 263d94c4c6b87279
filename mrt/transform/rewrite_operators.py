"""Applies every operator's own `rewrite` rule until none applies.

BatchNorm(x)        =>   x * scale + shift
mean(x, axis)       =>   sum(x, axis) * (1 / n)
"""

from __future__ import annotations

from collections.abc import Sequence

from mrt import ops
from mrt.errors import MRTError
from mrt.graph import Graph, Node, Value
from mrt.transform.base import Builder, Pass

_ROUNDS = 16


class RewriteOperators(Pass):
    """Leaves only operators that have a quantize rule and no rewrite rule that still applies."""

    name = "rewrite_operators"

    def run(self, graph: Graph) -> Graph:
        """The rewritten graph."""
        for _ in range(_ROUNDS):
            builder, changed = Builder(graph), False

            def visit(node: Node, inputs: tuple[Value, ...], builder: Builder = builder) -> Sequence[Value] | None:
                nonlocal changed
                if node.is_variable:
                    return None
                builder.current = node
                result = ops.get(node.op).rewrite(node, inputs, builder)
                changed |= result is not None
                return result

            graph = graph.rebuild(visit, builder.params)
            if not changed:
                return graph
        raise MRTError(f"operators keep being rewritten after {_ROUNDS} rounds")
