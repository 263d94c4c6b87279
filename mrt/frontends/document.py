"""Checks a symbol file before MXNet sees it: MXNet's reader crashes or never ends on what no MXNet has written."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import mxnet as mx

from mrt.executors.symbol import dumps, loads
from mrt.graph.ir import VARIABLE

ATTRIBUTES = ("attrs", "attr", "param")
"""Where MXNet has kept a node's attributes; `param` and `attr` are from before 1.0."""

_POSITIVE = ("num_group", "num_filter", "num_hidden", "num_outputs", "kernel", "stride", "dilate")
_FUSED = {
    "_sg_mkldnn_": "what MXNet's optimize_for or get_backend_symbol fused for oneDNN",
    "_sg_onednn_": "what MXNet's optimize_for or get_backend_symbol fused for oneDNN",
    "_contrib_quantize": "what MXNet's own quantization (quantize_net, quantize_model) has written",
    "_contrib_dequantize": "what MXNet's own quantization (quantize_net, quantize_model) has written",
    "_contrib_requantize": "what MXNet's own quantization (quantize_net, quantize_model) has written",
    "_FusedOp": "what MXNet fused for a GPU",
    "_TensorRT": "what MXNet handed to TensorRT",
    "_CachedOp": "a part that MXNet keeps as a whole, as optimize_for leaves it",
}


def problem(text: str) -> str | None:
    """What is wrong with the text of a symbol file, in one line; None where it is a network that MXNet can read.

    Every node is checked: a name, an operator that this MXNet has, attributes that are text, inputs that come before it
    and outputs of theirs that exist.
    """
    try:
        document = loads(text)
    except RecursionError:
        return "it is nested too deeply for a symbol"
    except ValueError as error:
        return f"it is no JSON ({error})"
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
        return "it has no list of nodes"
    nodes, heads = document["nodes"], document.get("heads")
    if not isinstance(heads, list) or not heads:
        return "it has no outputs (heads)"
    wrong = next(_of_nodes(nodes), None) or next(_of_heads(nodes, heads), None)
    return wrong or next(_of_outputs(nodes, heads), None)


def attributes(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node's attributes, wherever its version of MXNet keeps them."""
    return {key: value for place in ATTRIBUTES for key, value in (node.get(place) or {}).items()}


def _of_nodes(nodes: list[Any]) -> Iterator[str]:
    known = {*mx.operator.get_all_registered_operators(), VARIABLE}
    for position, node in enumerate(nodes):
        if not isinstance(node, dict) or not all(isinstance(node.get(key), str) for key in ("op", "name")):
            yield f"node {position} has no operator or no name"
            return
        where = f"node {node['name'] or position}"
        fused = next((what for start, what in _FUSED.items() if node["op"].startswith(start)), None)
        if fused:
            yield f"{where} ({node['op']}) is {fused}: export the float network from before that step"
        elif node.get("subgraphs"):
            yield (
                f"{where} ({node['op']}) has a network inside (foreach, while_loop, cond, or a fused part), which is "
                "not supported: export the network with its loops unrolled"
            )
        elif node["op"] not in known:
            yield f"{where} has the unknown operator {node['op']}; MXNet {mx.__version__} does not have it"
        yield from (f"{where} ({node['op']}): {wrong}" for wrong in _of_attributes(node))
        inputs = node.get("inputs")
        if not isinstance(inputs, list) or not all(_is_entry(entry) for entry in inputs):
            yield f"{where}: its inputs are not a list of [node, output]"
            return
        if any(not 0 <= entry[0] < position for entry in inputs):
            yield f"{where}: it reads a node that does not come before it; a network has no cycles"
        if node["op"] == VARIABLE and inputs:
            yield f"{where}: a variable has no inputs"


def _of_attributes(node: Mapping[str, Any]) -> Iterator[str]:
    for place in ATTRIBUTES:
        given = node.get(place) or {}
        if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
            yield f"its {place} are not pairs of text"
            return
    given = attributes(node)
    for key in _POSITIVE:
        if key in given and any(size < 1 for size in _whole_numbers(given[key])):
            yield f"attribute {key}={given[key]} must be above 0"


def _whole_numbers(text: str) -> tuple[int, ...]:
    """The numbers of an attribute; what is none, MXNet's own reader refuses."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    items = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(item for item in items if isinstance(item, int))


def _is_entry(entry: Any) -> bool:
    """Whether it is [node, output] or [node, output, version]."""
    numbers = isinstance(entry, list) and all(type(number) is int for number in entry)
    return numbers and len(entry) in (2, 3) and all(0 <= number < 2**31 for number in entry)


def _of_heads(nodes: list[Any], heads: list[Any]) -> Iterator[str]:
    if not all(_is_entry(entry) and entry[0] < len(nodes) for entry in heads):
        yield "an output (heads) is of a node that is not there"


def _of_outputs(nodes: list[Any], heads: list[Any]) -> Iterator[str]:
    """That second and later outputs of nodes are there; every node has a first."""
    wanted: dict[int, int] = {}
    for entry in (*(entry for node in nodes for entry in node["inputs"]), *heads):
        if entry[1]:
            wanted[entry[0]] = max(wanted.get(entry[0], 0), entry[1])
    for position, last in wanted.items():
        node = nodes[position]
        count = 1 if node["op"] == VARIABLE else _count_outputs(node)
        if last >= count:
            yield f"node {node['name']} ({node['op']}): output {last} is read, but it has {count}"


def _count_outputs(node: Mapping[str, Any]) -> int:
    """How many outputs MXNet gives an operator with these attributes."""
    variables = [{"op": VARIABLE, "name": f"input{i}", "inputs": []} for i in range(len(node["inputs"]))]
    alone = {"op": node["op"], "name": node["name"], "attrs": attributes(node)}
    alone["inputs"] = [[i, 0, 0] for i in range(len(variables))]
    document = {
        "nodes": [*variables, alone],
        "arg_nodes": list(range(len(variables))),
        "heads": [[len(variables), 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }
    try:
        return len(mx.sym.load_json(dumps(document)).get_internals().list_outputs()) - len(variables)
    except mx.base.MXNetError:
        return 1  # of attributes that MXNet's reader refuses, naming the node
