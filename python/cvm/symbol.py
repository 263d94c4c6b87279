"""The symbol file: the graph as JSON, with shapes, precisions and attributes in tagged lists."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from cvm import ops
from cvm.errors import CVMError
from cvm.model import Inferred, Model, Node
from cvm.ops.base import Shape, check_precision

VERSION = "cvm_1.0.0"
_REQUIRED = ("nodes", "arg_nodes", "node_row_ptr", "heads", "attrs", "version")
_OPTIONAL = ("postprocess",)
_TAGS = {
    "dltype": "list_str",
    "shape": "list_shape",
    "storage_id": "list_int",
    "precision": "list_int",
    "op_attrs": "list_str",
}
# Operators whose output may lie in the storage of an input.
_IN_PLACE = frozenset(
    (
        "flatten",
        "relu",
        "expand_dims",
        "reshape",
        "squeeze",
        "abs",
        "cvm_precision",
        "elemwise_add",
        "elemwise_sub",
        "clip",
        "cvm_clip",
        "cvm_right_shift",
        "cvm_left_shift",
    )
)


@dataclass(frozen=True)
class Symbol:
    """What a symbol file says: the graph, and shape and precision of every entry (node output)."""

    nodes: list[Node]
    heads: list[tuple[int, int]]
    shapes: list[list[Shape]]
    precisions: list[list[int]]


def encode(model: Model, inferred: Inferred) -> bytes:
    """The bytes of the symbol file of a model; every entry gets a storage of its own."""
    rows = _row_pointers(model.nodes)
    attrs = {
        "dltype": ["int32"] * rows[-1],
        "shape": [list(shape) for shapes in inferred.shapes for shape in shapes],
        "storage_id": list(range(rows[-1])),
        "precision": [precision for precisions in inferred.precisions for precision in precisions],
        "op_attrs": [json.dumps(dict(node.attrs), sort_keys=True) for node in model.nodes],
    }
    document = {
        "nodes": [_encode_node(node) for node in model.nodes],
        "arg_nodes": [i for i, node in enumerate(model.nodes) if node.is_variable],
        "node_row_ptr": rows,
        "heads": [[i, k, 0] for i, k in model.heads],
        "attrs": {name: [_TAGS[name], values] for name, values in attrs.items()},
        "version": VERSION,
    }
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def decode(content: bytes) -> Symbol:
    """The graph of a symbol file; `CVMError` for any departure from the format."""
    document = _fields(_json(content, "the symbol"), _REQUIRED, _OPTIONAL, "the symbol")
    if document["version"] != VERSION:
        raise CVMError(f"version {str(document['version'])[:40]!r}, expected {VERSION!r}")
    if document.get("postprocess"):
        raise CVMError("postprocess is not supported")
    attrs = document["attrs"]
    if not isinstance(attrs, dict):
        raise CVMError("attrs must be an object")
    raw = _list(document["nodes"], "nodes")
    op_attrs = _tagged(attrs, "op_attrs", len(raw))
    nodes = [_decode_node(i, node, op_attrs[i]) for i, node in enumerate(raw)]
    rows = _row_pointers(nodes)
    if _integers(document["node_row_ptr"], "node_row_ptr") != rows:
        raise CVMError("node_row_ptr does not count the outputs of the nodes")
    if _integers(document["arg_nodes"], "arg_nodes") != [i for i, node in enumerate(nodes) if node.is_variable]:
        raise CVMError("arg_nodes does not list the variables")
    entries = rows[-1]
    if any(kind != "int32" for kind in _tagged(attrs, "dltype", entries)):
        raise CVMError("dltype: every entry must be int32")
    shapes = [tuple(_integers(shape, "shape")) for shape in _tagged(attrs, "shape", entries)]
    precisions = _integers(_tagged(attrs, "precision", entries), "precision")
    for i, node in enumerate(nodes):
        if node.is_variable:
            check_precision(precisions[rows[i]], f"variable {node.name!r}:")
    _check_storage(nodes, rows, _integers(_tagged(attrs, "storage_id", entries), "storage_id"))
    heads = [_entry(head, len(nodes), "heads") for head in _list(document["heads"], "heads")]
    pairs = list(zip(rows, rows[1:]))
    return Symbol(nodes, heads, [shapes[a:b] for a, b in pairs], [precisions[a:b] for a, b in pairs])


def _row_pointers(nodes: list[Node]) -> list[int]:
    """Index of the first entry of each node, and the number of entries."""
    rows = [0]
    for node in nodes:
        rows.append(rows[-1] + (1 if node.is_variable else ops.get(node.op).outputs))
    return rows


def _encode_node(node: Node) -> dict[str, Any]:
    if node.is_variable:
        return {"op": "null", "name": node.name, "inputs": []}
    return {
        "op": "cvm_op",
        "name": node.name,
        "attrs": {
            "func_name": node.op,
            "num_inputs": str(len(node.inputs)),
            "num_outputs": str(ops.get(node.op).outputs),
            "flatten_data": "0",
        },
        "inputs": [[i, k, 0] for i, k in node.inputs],
    }


def _decode_node(index: int, raw: Any, op_attrs: Any) -> Node:
    what = f"node {index}"
    fields = _fields(raw, ("op", "name", "inputs"), ("attrs",), what)
    op, name, attrs = fields["op"], fields["name"], fields.get("attrs", {})
    if not isinstance(name, str) or not isinstance(attrs, dict):
        raise CVMError(f"{what}: name must be a string and attrs an object")
    own = _json(op_attrs.encode() if isinstance(op_attrs, str) else b"", f"{what}: op_attrs")
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        raise CVMError(f"{what}: op_attrs must be an object of strings")
    inputs = tuple(_entry(entry, index, what) for entry in _list(fields["inputs"], f"{what}: inputs"))
    if op == "null":
        if attrs or inputs or own:
            raise CVMError(f"{what}: a variable has neither inputs nor attributes")
        return Node("null", name)
    if op != "cvm_op":
        raise CVMError(f"{what}: op {str(op)[:40]!r}, expected 'null' or 'cvm_op'")
    if not all(isinstance(value, str) for value in attrs.values()) or "func_name" not in attrs:
        raise CVMError(f"{what}: attrs must be strings and hold func_name")
    func = re.sub(r"_[0-9]+\Z", "", attrs["func_name"])
    try:
        ops.get(func)
    except CVMError as error:
        raise CVMError(f"{what}: {error}") from None
    return Node(func, name, inputs, own)


def _check_storage(nodes: list[Node], rows: list[int], storage: list[int]) -> None:
    if any(number < 0 for number in storage):
        raise CVMError("storage_id: negative")
    for i, node in enumerate(nodes):
        if node.op in _IN_PLACE:
            continue
        own = set(storage[rows[i] : rows[i + 1]])
        if any(rows[j] + k < rows[j + 1] and storage[rows[j] + k] in own for j, k in node.inputs):
            raise CVMError(f"node {i}: {node.op} may not write into the storage of its input")


def _entry(raw: Any, end: int, what: str) -> tuple[int, int]:
    values = _integers(raw, what)
    if len(values) != 3 or min(values) < 0:
        raise CVMError(f"{what}: an entry must be [node, output, version]")
    if values[0] >= end:
        raise CVMError(f"{what}: refers to node {values[0]}, which does not come before")
    return values[0], values[1]


def _json(content: bytes, what: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key occurs twice")
        return dict(pairs)

    def no_float(text: str) -> Any:
        raise ValueError(f"{text[:20]} is not an integer")

    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=unique, parse_float=no_float, parse_constant=no_float)
    except (ValueError, RecursionError) as error:
        raise CVMError(f"{what} is not valid JSON ({str(error)[:80]})") from None


def _fields(raw: Any, required: tuple[str, ...], optional: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise CVMError(f"{what} must be an object")
    for key in required:
        if key not in raw:
            raise CVMError(f"{what}: {key!r} is missing")
    for key in raw:
        if key not in required + optional:
            raise CVMError(f"{what}: unknown key {key[:40]!r}")
    return raw


def _list(raw: Any, what: str) -> list[Any]:
    if not isinstance(raw, list):
        raise CVMError(f"{what} must be a list")
    return raw


def _tagged(attrs: dict[str, Any], name: str, length: int) -> list[Any]:
    raw = attrs.get(name)
    if not isinstance(raw, list) or len(raw) != 2 or raw[0] != _TAGS[name] or not isinstance(raw[1], list):
        raise CVMError(f"attrs: {name} must be [{_TAGS[name]!r}, [...]]")
    if len(raw[1]) != length:
        raise CVMError(f"attrs: {name} has {len(raw[1])} values, expected {length}")
    return raw[1]


def _integers(raw: Any, what: str) -> list[int]:
    if not isinstance(raw, list) or not all(isinstance(value, int) and not isinstance(value, bool) for value in raw):
        raise CVMError(f"{what}: expected a list of integers")
    return raw
