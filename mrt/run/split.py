"""Cuts a network in two at named nodes: a base that is quantized and a top that stays in float."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Value

_SWITCH = "split_model.keys"


@dataclass(frozen=True)
class Split:
    """`top(base(x))` is the network; the top's inputs are named like the base's outputs, in their order."""

    base: Graph
    top: Graph


def split(graph: Graph, keys: Sequence[str]) -> Split:
    """Cut `graph` at the first outputs of the nodes named `keys`.

    Raises:
        MRTError: there is no such node, a key is a parameter, or the top still reads the network's input.
    """
    by_name = {node.name: node for node in graph.nodes()}
    unknown = [key for key in keys if key not in by_name]
    if unknown:
        raise MRTError(f"the network has no node {unknown[0]}", switch=_SWITCH)
    parameters = [key for key in keys if by_name[key].is_variable]
    if parameters:
        raise MRTError(f"{parameters[0]} is a variable, not an operator", switch=_SWITCH)
    cuts = tuple(Value(by_name[key]) for key in dict.fromkeys(keys))
    shapes = infer_shapes(Graph((*graph.outputs, *cuts), graph.params, graph.inputs))
    base = Graph(cuts, graph.params, graph.inputs).pruned()
    inputs = {cut.node.name: (-1, *shapes[cut][1:]) for cut in cuts}
    variables = {cut.node: Value(Node("null", cut.node.name, origin=cut.node.origin)) for cut in cuts}

    def visit(node: Node, _: tuple[Value, ...]) -> Sequence[Value] | None:
        return [variables[node]] if node in variables else None

    rebuilt = Graph(graph.outputs, graph.params, {**inputs, **graph.inputs}).rebuild(visit)
    leftover = [node.name for node in rebuilt.nodes() if node.name in graph.inputs]
    if leftover:
        raise MRTError(f"the network's outputs still depend on {leftover[0]} past the keys; add keys", switch=_SWITCH)
    return Split(base, Graph(rebuilt.outputs, rebuilt.params, inputs))
