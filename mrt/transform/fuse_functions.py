"""Makes one function of those that are applied to a tensor one after the other: it takes one table and one rounding.

    log(exp(x) + 1)    =>    chain(x; exp, + 1, log)

exp(x) alone spreads over so many orders of magnitude that integers on one scale hold only the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrt.graph import Graph, Node, Value, origins
from mrt.ops.chain import CHAIN, Step, chain_attributes, step_of
from mrt.ops.unary import function_of
from mrt.transform.base import Pass


class FuseFunctions(Pass):
    """Leaves no function whose only reader is another; factors, addends and clamps between them join in."""

    name = "fuse_functions"

    def run(self, graph: Graph) -> Graph:
        """The graph with chains."""
        uses = graph.use_counts()
        steps = {node: step for node in graph.nodes() if (step := _step(node, graph)) is not None}
        chains: dict[Node, list[Node]] = {}
        for node in reversed(graph.nodes()):
            if node in steps and not any(node in chain for chain in chains.values()):
                chain = _chain(node, steps, uses)
                if chain:
                    chains[node] = chain

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node not in chains:
                return None
            chain = chains[node]
            source = inputs[0]
            for _ in chain[1:]:
                source = source.node.inputs[0]
            attrs = chain_attributes([steps[each] for each in chain])
            return [Value(replace(node, op=CHAIN, inputs=(source,), attrs=attrs, origin=origins(chain)))]

        return graph.rebuild(visit)


def _step(node: Node, graph: Graph) -> Step | None:
    """The node as a step of a chain, or None."""
    if not node.inputs or graph.constant(node.inputs[0]) is not None:
        return None
    return step_of(node, graph.constant(node.inputs[1]) if len(node.inputs) > 1 else None)


def _chain(last: Node, steps: dict[Node, Step], uses: dict[Value, int]) -> list[Node]:
    """The longest chain up to the node with functions at both ends; empty where there is none to fuse."""
    chain = [last]
    while (before := chain[0].inputs[0].node) in steps and uses[chain[0].inputs[0]] == 1:
        chain.insert(0, before)
    while chain and function_of(*steps[chain[0]]) is None:
        chain.pop(0)
    return chain if len(chain) > 1 and function_of(*steps[last]) is not None else []
