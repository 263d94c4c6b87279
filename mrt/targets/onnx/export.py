"""A CVM model as an ONNX model of the same integers."""

from __future__ import annotations

import json

import numpy as np
import onnx
from cvm import Model
from cvm.description import Description, Output
from cvm.errors import CVMError
from cvm.model import INPUT
from cvm.ops.base import stored_type
from onnx import TensorProto, helper

from mrt.errors import MRTError
from mrt.targets.onnx.ends import real_inputs, real_output
from mrt.targets.onnx.lower import Lowered, lower
from mrt.targets.onnx.writer import BoundError, Tensor, Writer
from mrt.version import __version__

OPSET = 18
"""The first with BitwiseAnd."""
_IR = 8  # of that opset, so that older engines read the file
_DOC = (
    "An integer model: every tensor holds whole numbers, in int32, or in float32 where that is proven to hold them and "
    "every sum exactly. Compute float32 in float32, not in TF32, bfloat16 or float16."
)


def to_onnx(
    model: Model, description: Description | None = None, batch: int | None = None, floats: bool = False
) -> onnx.ModelProto:
    """An ONNX model that computes the integers of a CVM model: `data` (int8 or int32) in, int32 for each head out.

    It takes any batch where the graph does, else the model's.

    Args:
        model: one whose certificate holds.
        description: what the integers mean.
        batch: the only batch size that it is to take.
        floats: real numbers in and out, quantized by nodes at the ends, under the names of the description.

    Raises:
        MRTError: int32 can overflow in the model; a node, which is named, cannot be said exactly in ONNX; or, with
            `floats`, the description does not say what the integers mean.
    """
    description = description or Description()
    source = f"{INPUT}/integers" if floats else INPUT
    try:
        lowered = _lowered(model, batch, source)
    except CVMError as error:
        raise MRTError(str(error)) from None
    writer, precision = lowered.writer, model.precisions[INPUT]
    ends = Writer(lowered.writer)
    if floats:
        inputs = real_inputs(ends, description, lowered.input_dims, precision, source)
    else:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(stored_type(precision)))
        inputs = [helper.make_tensor_value_info(INPUT, kind, list(lowered.input_dims), f"precision {precision}")]
    outputs = []
    for index, head in enumerate(lowered.heads):
        meaning = description.outputs[index] if index < len(description.outputs) else None
        outputs.append(_output(writer, head, meaning, index, floats))
    constants = [*ends.constants.values(), *writer.constants.values()]
    graph = helper.make_graph([*ends.nodes, *writer.nodes], "cvm", inputs, outputs, constants, _DOC)
    graph.value_info.extend(_info(tensor) for tensor in lowered.tensors)
    opsets = [helper.make_opsetid("", OPSET)]
    result = helper.make_model(
        graph, opset_imports=opsets, ir_version=_IR, producer_name="mrt", producer_version=__version__, doc_string=_DOC
    )
    if description.raw:
        helper.set_model_props(result, {"ext.json": json.dumps(description.raw)})
    return onnx.shape_inference.infer_shapes(result)


def _lowered(model: Model, batch: int | None, source: str) -> Lowered:
    if batch is not None:
        return lower(model, batch, source)
    try:
        return lower(model, None, source)
    except BoundError:
        return lower(model, model.input_shape[0], source)


def _output(writer: Writer, head: Tensor, meaning: Output | None, index: int, floats: bool) -> onnx.ValueInfoProto:
    """The nodes of a head, under the name that the description gives it."""
    name = writer.unique((meaning.name if meaning else "") or f"output{index}")
    writer.part = name
    known = head.name if head.known is None else writer.constant(head.known.astype(np.int32), head.name)
    if floats:
        real_output(writer, name, known, meaning, len(head.dims))
    else:
        writer.nodes.append(helper.make_node("Cast", [known], [name], f"{name}/Cast", to=TensorProto.INT32))
    return helper.make_tensor_value_info(name, TensorProto.FLOAT if floats else TensorProto.INT32, list(head.dims))


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    kind = TensorProto.FLOAT if tensor.is_float else TensorProto.INT32
    return helper.make_tensor_value_info(tensor.name, kind, list(tensor.dims))
