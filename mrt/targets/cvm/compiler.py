"""Writes an integer graph, whose nodes are the target's operators, as a CVM model."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cvm
import numpy as np
from cvm.certificate import Certificate
from cvm.errors import CVMError
from cvm.ops.base import Range

from mrt.errors import MRTError
from mrt.graph import Graph, Node

_INPUT = "data"
_LONGEST_NAME = 1000


@dataclass(frozen=True)
class Compiled:
    """A model with the proof that it cannot overflow."""

    model: cvm.Model
    certificate: Certificate


def compile_model(graph: Graph, input_precision: int, batch: int = 1) -> cvm.Model:
    """The CVM model of an integer graph.

    Args:
        graph: integer graph with one input, which is called `data` in the model.
        input_precision: of the input.
        batch: the batch size that the model states; the native runtime takes any.

    Raises:
        MRTError: an operator was left in float, or the target refuses the model.
    """
    ((input_name, _),) = graph.inputs.items()
    input_shape = graph.input_shapes(batch)[input_name]
    nodes: list[cvm.Node] = []
    ids: dict[Node, int] = {}
    names: dict[str, str] = {}
    params, precisions = {}, {}
    ordered = graph.nodes()
    ordered.sort(key=lambda node: node.name != input_name)  # the target's convention: the input is node 0
    for node in ordered:
        name = _ascii(node.name if node.name != input_name else _INPUT, names)
        inputs = tuple((ids[value.node], value.index) for value in node.inputs)
        if node.is_variable:
            nodes.append(cvm.Node("null", name, (), {}))
            if node.name == input_name:
                precisions[name] = input_precision
            else:
                params[name] = np.asarray(graph.params[node.name], dtype=np.int32)
                precisions[name] = Range.constant(params[name]).bits()
        else:
            if node.target_op is None:
                raise MRTError(f"compile: node {node.name} ({node.op}) is no operator of the target")
            nodes.append(cvm.Node(node.target_op, name, inputs, dict(node.attrs)))
        ids[node] = len(nodes) - 1
    heads = [(ids[value.node], value.index) for value in graph.outputs]
    model = cvm.Model(nodes, heads, params, precisions, input_shape)
    try:
        model.infer()
    except CVMError as error:
        raise MRTError(f"compile: {error}") from error
    return model


def _ascii(name: str, taken: dict[str, str]) -> str:
    """A unique ASCII name that is neither empty nor too long: the target allows no others.

    It strips `_<digits>` from operators only.
    """
    base = re.sub(r"[^A-Za-z0-9_.]", "_", name)[:_LONGEST_NAME] or "_"
    candidate, count = base, 0
    while candidate in taken or (candidate == _INPUT and name != _INPUT):
        count += 1
        candidate = f"{base}_{count}"
    taken[candidate] = name
    return candidate
