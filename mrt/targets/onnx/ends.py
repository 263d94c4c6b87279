"""The ends of a model that takes and gives real numbers: quantized as `cvm.quantization` does it, in double."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from cvm.description import Description, Input, Meaning, Output
from cvm.interface import INDICES
from cvm.model import INPUT
from cvm.ops.base import limit
from onnx import TensorProto, helper

from mrt.errors import MRTError
from mrt.targets.onnx.writer import Dims, Writer


def real_inputs(
    writer: Writer, description: Description, dims: Dims, precision: int, integers: str
) -> list[onnx.ValueInfoProto]:
    """The inputs, float32 by name (int32 of indices), and nodes that make the model's integers of them.

    Args:
        writer: what to write with.
        description: what the integers mean.
        dims: the shape of the model's only input.
        precision: of that.
        integers: how to call it.

    Raises:
        MRTError: the description gives no scale, or the inputs leave gaps between them.
    """
    slots = description.slots()
    if not slots:
        entry = description.inputs[0] if description.inputs else Input()
        name = writer.unique(entry.name or INPUT)
        writer.part = f"{name}/quantize"
        made = _quantized(writer, name, entry, entry.precision or precision, len(dims))
        writer.nodes.append(helper.make_node("Identity", [made], [integers], integers))
        return [_info(name, entry.meaning, dims)]
    infos, parts, start = [], [], 0
    for slot, entry in sorted(zip(slots, description.inputs), key=lambda pair: pair[0].start):
        if slot.start != start:
            raise MRTError(f"input {slot.name} does not follow the one before it")
        start = slot.stop
        name = writer.unique(slot.name)
        writer.part = f"{name}/quantize"
        made = _quantized(writer, name, entry, slot.precision, len(slot.shape))
        axis, rank = slot.batch_axis, len(slot.shape)
        if axis:
            made = writer.op("Transpose", made, perm=[axis, *(i for i in range(rank) if i != axis)])
        parts.append(writer.op("Reshape", made, writer.constant(np.array([-1, slot.stop - slot.start], np.int64))))
        infos.append(_info(name, entry.meaning, tuple(dims[0] if i == axis else d for i, d in enumerate(slot.shape))))
    writer.nodes.append(helper.make_node("Concat", parts, [integers], integers, axis=1))
    return infos


def _info(name: str, meaning: Meaning, dims: Dims) -> onnx.ValueInfoProto:
    kind = TensorProto.INT32 if meaning == INDICES else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, list(dims))


def _quantized(writer: Writer, name: str, entry: Input, precision: int, rank: int) -> str:
    """floor(x / scale + zero + 1/2) - offset, saturated; indices only saturated."""
    meaning, bound = entry.meaning, limit(precision)
    if not meaning.scales:
        raise MRTError(f"ext.json gives no scale for input {entry.name}")
    if meaning == INDICES:
        low, high = (writer.constant(np.asarray(end, np.int32)) for end in (-bound, bound))
        return writer.op("Min", writer.op("Max", name, low), high)
    value = writer.op("Cast", name, to=TensorProto.DOUBLE)
    value = writer.op("Div", value, _double(writer, meaning.scale(rank)))
    # In the order of cvm.quantization: another would round otherwise.
    value = writer.op("Add", writer.op("Add", value, _double(writer, meaning.zero(rank))), _double(writer, 0.5))
    value = writer.op("Sub", writer.op("Floor", value), _double(writer, meaning.offset))
    value = writer.op("Min", writer.op("Max", value, _double(writer, -bound)), _double(writer, bound))
    return writer.op("Cast", value, to=TensorProto.INT32)


def real_output(writer: Writer, name: str, integers: str, output: Output | None, rank: int) -> None:
    """A node called `name` that gives (integers + offset) * scale in float32.

    Raises:
        MRTError: the description gives no scale.
    """
    if output is None or not output.meaning.scales:
        raise MRTError(f"ext.json gives no scale for output {name}")
    meaning = output.meaning
    writer.part = f"{name}/dequantize"
    value = writer.op("Cast", integers, to=TensorProto.DOUBLE)
    value = writer.op("Add", value, _double(writer, meaning.offset))
    value = writer.op("Mul", value, _double(writer, meaning.scale(rank)))
    writer.nodes.append(helper.make_node("Cast", [value], [name], f"{name}/Cast", to=TensorProto.FLOAT))


def _double(writer: Writer, values: Any) -> str:
    return writer.constant(np.asarray(values, np.float64))
