"""Graphs as MXNet symbols."""

from __future__ import annotations

import json
from typing import Any

import mxnet as mx

from mrt.executors.twin import twin
from mrt.graph.ir import VARIABLE, Graph, Node

ORIGIN = "__origin__"
"""The attribute that says which nodes of the user's network a node stands for, where that is not its own name."""
_MXNET_VERSION = 10901  # whose attribute conventions the graph follows; an older stamp would be "upgraded" on load


def to_symbol(graph: Graph) -> Any:
    """The symbol of a graph, or of its twin where MXNet lacks an operator; its heads are the graph's outputs."""
    graph = twin(graph)
    nodes: list[dict[str, Any]] = []
    ids: dict[Node, int] = {}
    for node in graph.nodes():
        attrs = dict(node.attrs)
        if node.origin and node.origin != (node.name,):
            attrs[ORIGIN] = json.dumps(node.origin)
        inputs = [[ids[value.node], value.index, 0] for value in node.inputs]
        ids[node] = len(nodes)
        nodes.append({"op": node.op, "name": node.name, "attrs": attrs, "inputs": inputs})
    heads = [[ids[value.node], value.index, 0] for value in graph.outputs]
    arg_nodes = [i for i, node in enumerate(nodes) if node["op"] == VARIABLE]
    version = {"mxnet_version": ["int", _MXNET_VERSION]}
    document = {"nodes": nodes, "arg_nodes": arg_nodes, "heads": heads, "attrs": version}
    return mx.sym.load_json(json.dumps(document, ensure_ascii=False))  # MXNet's reader knows no escapes of characters
