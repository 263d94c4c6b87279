"""The symbol file: the graph as JSON, with shapes, precisions and attributes in tagged lists; see docs/format.md."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from cvm import ops, strict_json
from cvm.errors import CVMError
from cvm.model import Inferred, Model, Node
from cvm.ops.base import MAX_PRECISION, Shape, check_precision

VERSION = "cvm_1.0.0"
LATER_VERSION = "cvm_1.1.0"  # leaves out dltype and arg_nodes
_MAX_STORAGE_ID = 2**31 - 1
_UNKNOWN_PRECISION = -1
_NODE_ATTRS = ("func_name", "num_inputs", "num_outputs", "flatten_data", "op_attrs")
_TAGS = {
    "dltype": "list_str",
    "shape": "list_shape",
    "storage_id": "list_int",
    "precision": "list_int",
    "op_attrs": "list_str",
    "device_index": "list_int",
}


@dataclass(frozen=True)
class Symbol:
    """What a symbol file says: the graph, and shape, precision and storage number of every entry (node output).

    An operator's precision is what the file says, which inference does not read; -1 where it says nothing.
    """

    nodes: list[Node]
    heads: list[tuple[int, int]]
    shapes: list[list[Shape]]
    precisions: list[list[int]]
    storage: list[list[int]]


def encode(model: Model, inferred: Inferred, numbers: list[list[int]]) -> bytes:
    """The bytes of the symbol file of a model whose entries have these storage numbers."""
    attrs = {
        "dltype": ["int32" for shapes in inferred.shapes for _ in shapes],
        "shape": [[int(dim) for dim in shape] for shapes in inferred.shapes for shape in shapes],
        "storage_id": [number for row in numbers for number in row],
        "precision": [int(precision) for precisions in inferred.precisions for precision in precisions],
        "op_attrs": [json.dumps(dict(node.attrs), sort_keys=True) for node in model.nodes],
    }
    document = {
        "nodes": [_encode_node(node) for node in model.nodes],
        "arg_nodes": [i for i, node in enumerate(model.nodes) if node.is_variable],
        "node_row_ptr": _row_pointers(model.nodes),
        "heads": [[int(i), int(k), 0] for i, k in model.heads],
        "attrs": {name: [_TAGS[name], values] for name, values in attrs.items()},
        "version": VERSION,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode(content: bytes) -> Symbol:
    """The graph of a symbol file; `CVMError` for any departure from the format."""
    required, optional = ("nodes", "node_row_ptr", "heads", "attrs"), ("arg_nodes", "version", "postprocess")
    document = strict_json.fields(strict_json.parse(content, "the symbol"), required, optional, "the symbol")
    version = strict_json.string(document.get("version", VERSION), "version")
    if version not in (VERSION, LATER_VERSION):
        raise CVMError(f"version {version[:40]!r}, expected {VERSION!r}")
    if strict_json.string(document.get("postprocess", ""), "postprocess"):
        raise CVMError("postprocess is not supported")
    if version == VERSION and "arg_nodes" not in document:
        raise CVMError("the symbol: 'arg_nodes' is missing")
    needed = ("shape", "storage_id", "precision", "op_attrs") + (("dltype",) if version == VERSION else ())
    attrs = strict_json.fields(document["attrs"], needed, ("dltype", "device_index"), "attrs")
    raw = strict_json.items(document["nodes"], "nodes")
    op_attrs = _tagged(attrs, "op_attrs", len(raw))
    nodes = [_decode_node(i, node, op_attrs[i]) for i, node in enumerate(raw)]
    rows = _row_pointers(nodes)
    if strict_json.integers(document["node_row_ptr"], "node_row_ptr") != rows:
        raise CVMError("node_row_ptr does not count the outputs of the nodes")
    variables = [i for i, node in enumerate(nodes) if node.is_variable]
    if strict_json.integers(document.get("arg_nodes", variables), "arg_nodes") != variables:
        raise CVMError("arg_nodes does not list the variables")
    entries = rows[-1]
    if "dltype" in attrs and any(kind != "int32" for kind in _tagged(attrs, "dltype", entries)):
        raise CVMError("dltype: every entry must be int32")
    if "device_index" in attrs:
        _tagged(attrs, "device_index", 0)
    shapes = [tuple(strict_json.integers(shape, "shape")) for shape in _tagged(attrs, "shape", entries)]
    precisions = _precisions(nodes, rows, strict_json.integers(_tagged(attrs, "precision", entries), "precision"))
    numbers = strict_json.integers(_tagged(attrs, "storage_id", entries), "storage_id")
    _check_storage(nodes, rows, numbers)
    heads = [_entry(head, len(nodes), "heads") for head in strict_json.items(document["heads"], "heads")]
    spans = list(zip(rows, rows[1:]))
    return Symbol(
        nodes,
        heads,
        shapes=[shapes[a:b] for a, b in spans],
        precisions=[precisions[a:b] for a, b in spans],
        storage=[numbers[a:b] for a, b in spans],
    )


def _row_pointers(nodes: Sequence[Node]) -> list[int]:
    """Index of the first entry of each node, and the number of entries."""
    return [0, *accumulate(1 if node.is_variable else ops.get(node.op).outputs for node in nodes)]


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
        "inputs": [[int(i), int(k), 0] for i, k in node.inputs],
    }


def _decode_node(index: int, raw: Any, op_attrs: Any) -> Node:
    what = f"node {index}"
    fields = strict_json.fields(raw, ("op", "name", "inputs"), ("attrs",), what)
    op, name = strict_json.string(fields["op"], f"{what}: op"), strict_json.string(fields["name"], f"{what}: name")
    inputs = tuple(_entry(entry, index, what) for entry in strict_json.items(fields["inputs"], f"{what}: inputs"))
    text = strict_json.string(op_attrs, f"{what}: op_attrs")
    own = strict_json.strings(strict_json.parse(text.encode(), f"{what}: op_attrs"), f"{what}: op_attrs")
    if op == "null":
        if "attrs" in fields or inputs:
            raise CVMError(f"{what}: a variable has neither inputs nor attributes")
        return Node("null", name)  # the reference's compiler repeats shape and precision in `own`
    if op != "cvm_op":
        raise CVMError(f"{what}: op {op[:40]!r}, expected 'null' or 'cvm_op'")
    attrs = strict_json.strings(fields.get("attrs"), f"{what}: attrs")
    func = re.sub(r"_[0-9]+\Z", "", strict_json.fields(attrs, ("func_name",), _NODE_ATTRS, what)["func_name"])
    try:
        ops.get(func)
    except CVMError as error:
        raise CVMError(f"{what}: {error}") from None
    return Node(func, name, inputs, own)


def _precisions(nodes: list[Node], rows: list[int], given: list[int]) -> list[int]:
    for node, first in zip(nodes, rows):
        if node.is_variable:
            check_precision(given[first], f"variable {node.name!r}:")
    for precision in given:
        if precision != _UNKNOWN_PRECISION and not 1 <= precision <= MAX_PRECISION:
            raise CVMError(f"precision {precision} is neither {_UNKNOWN_PRECISION} nor in 1..{MAX_PRECISION}")
    return given


def _check_storage(nodes: list[Node], rows: list[int], numbers: list[int]) -> None:
    if not all(0 <= number <= _MAX_STORAGE_ID for number in numbers):
        raise CVMError(f"storage_id: every entry must be in 0..{_MAX_STORAGE_ID}")
    for i, node in enumerate(nodes):
        if node.is_variable or ops.get(node.op).in_place:
            continue
        own = set(numbers[rows[i] : rows[i + 1]])
        if any(rows[j] + k < rows[j + 1] and numbers[rows[j] + k] in own for j, k in node.inputs):
            raise CVMError(f"node {i}: {node.op} may not write into the storage of its input")


def _entry(raw: Any, end: int, what: str) -> tuple[int, int]:
    values = strict_json.integers(raw, what)
    if len(values) not in (2, 3) or min(values) < 0:
        raise CVMError(f"{what}: an entry must be [node, output] or [node, output, version]")
    if values[0] >= end:
        raise CVMError(f"{what}: refers to node {values[0]}, which does not come before")
    return values[0], values[1]


def _tagged(attrs: dict[str, Any], name: str, length: int) -> list[Any]:
    raw = attrs[name]
    if not isinstance(raw, list) or len(raw) != 2 or raw[0] != _TAGS[name] or not isinstance(raw[1], list):
        raise CVMError(f"attrs: {name} must be [{_TAGS[name]!r}, [...]]")
    if len(raw[1]) != length:
        raise CVMError(f"attrs: {name} has {len(raw[1])} values, expected {length}")
    return raw[1]
