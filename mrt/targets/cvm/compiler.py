"""Writes an integer graph, whose nodes are the target's operators, as a CVM model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import cvm
import numpy as np
from cvm.certificate import Certificate
from cvm.errors import CVMError
from cvm.model import INPUT
from cvm.ops.base import Range
from cvm.packing import Slot, pack, packed_shape, slots
from cvm.packing import nodes as unpacking

from mrt.errors import MRTError
from mrt.graph import Array, Node, Shape, Value
from mrt.graph.batch import Feed
from mrt.quantizer.quantize import Quantized

_LONGEST_NAME = 1000


@dataclass(frozen=True)
class Compiled:
    """A model with the proof that it cannot overflow, and the batch size that it states."""

    model: cvm.Model
    certificate: Certificate
    batch: int = 1


def compile_model(quantized: Quantized, batch: int = 1) -> cvm.Model:
    """The CVM model of an integer graph.

    The model has one input, `data`. Those of a network of several lie side by side in it (`cvm.packing`), and the
    model's first nodes take them apart.

    Args:
        quantized: the integer graph, with the precisions of its inputs.
        batch: the batch size that the model states; the native runtime takes any.

    Raises:
        MRTError: an operator was left in float, or the target refuses the model.
    """
    graph = quantized.graph
    nodes, entries, input_shape = _inputs(quantized, batch)
    names = {node.name: node.name for node in nodes}
    precisions = {INPUT: max(info.precision for info in quantized.inputs)}
    params: dict[str, Array] = {}
    ids: dict[Node, int] = {}

    def entry(value: Value) -> tuple[int, int]:
        return entries[value.node.name] if value.node.name in entries else (ids[value.node], value.index)

    for node in graph.nodes():
        if node.name in graph.inputs:
            continue
        name = _ascii(node.name, names)
        if node.is_variable:
            nodes.append(cvm.Node("null", name, (), {}))
            params[name] = np.asarray(graph.params[node.name], dtype=np.int32)
            precisions[name] = Range.constant(params[name]).bits()
        elif node.target_op is None:
            raise MRTError(f"compile: node {node.name} ({node.op}) is no operator of the target")
        else:
            inputs = tuple(entry(value) for value in node.inputs)
            nodes.append(cvm.Node(node.target_op, name, inputs, dict(node.attrs)))
        ids[node] = len(nodes) - 1
    model = cvm.Model(nodes, [entry(value) for value in graph.outputs], params, precisions, input_shape)
    try:
        model.infer()
    except CVMError as error:
        raise MRTError(f"compile: {error}") from error
    return model


def model_input(quantized: Quantized, integers: Feed) -> Array:
    """A batch of the integer graph's inputs as the model's only one."""
    return pack(input_slots(quantized), integers) if isinstance(integers, Mapping) else integers


def input_slots(quantized: Quantized) -> list[Slot]:
    """Where each of several inputs lies in the packed one."""
    return slots([(info.name, quantized.graph.inputs[info.name], info.precision) for info in quantized.inputs])


def _inputs(quantized: Quantized, batch: int) -> tuple[list[cvm.Node], dict[str, tuple[int, int]], Shape]:
    """The model's first nodes, the entry that each input of the graph is, and the shape of `data`."""
    if len(quantized.inputs) == 1:
        name = quantized.input.name
        return [cvm.Node("null", INPUT, (), {})], {name: (0, 0)}, quantized.graph.input_shapes(batch)[name]
    placed = input_slots(quantized)
    return *unpacking(placed), packed_shape(placed, batch)


def _ascii(name: str, taken: dict[str, str]) -> str:
    """A unique ASCII name that is neither empty nor too long: the target allows no others.

    It strips `_<digits>` from operators only.
    """
    base = re.sub(r"[^A-Za-z0-9_.]", "_", name)[:_LONGEST_NAME] or "_"
    candidate, count = base, 0
    while candidate in taken:
        count += 1
        candidate = f"{base}_{count}"
    taken[candidate] = name
    return candidate
