"""Graphs as MXNet symbols."""

from __future__ import annotations

import json
import re
from typing import Any

import mxnet as mx

from mrt.executors.twin import twin
from mrt.graph.ir import VARIABLE, Graph, Node

ORIGIN = "__origin__"
"""The attribute that says which nodes of the user's network a node stands for, where that is not its own name."""
_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
_ESCAPED = '"\\\n\r\t'  # what MXNet's reader knows as escapes
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
    return mx.sym.load_json(dumps(document))


def dumps(document: Any) -> str:
    """A symbol as JSON for MXNet's reader, which takes any character as it is and knows few escapes."""
    return _ESCAPE.sub(_unescaped, json.dumps(document, ensure_ascii=False))


def loads(text: str) -> Any:
    """What `dumps` or MXNet has written, control characters as they are."""
    return json.loads(text, strict=False)


def _unescaped(escape: re.Match[str]) -> str:
    character: str = json.loads(f'"{escape[0]}"')
    return escape[0] if character in _ESCAPED else character
