"""Operators that the model or ONNX itself defines as functions of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx

from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.values import BOOL, INT, SMALL, Known, Live, Operand

_TYPES = {INT: onnx.TensorProto.INT64, SMALL: onnx.TensorProto.UINT8, BOOL: onnx.TensorProto.BOOL}


def body(
    node: OnnxNode,
    proto: Any,
    local: Mapping[tuple[str, str], onnx.FunctionProto],
    opsets: Mapping[str, int],
) -> onnx.FunctionProto | None:
    """The function that an operator is, None where it is none."""
    found = local.get((node.domain, node.op))
    if found is not None:
        return found
    try:
        schema: Any = onnx.defs.get_schema(node.op, opsets.get(node.domain, 1), node.domain)
        if schema.has_function:
            return cast("onnx.FunctionProto", schema.function_body)
        if schema.has_context_dependent_function:
            types = [_type_of(operand).SerializeToString() for operand in node.inputs]
            text = schema.get_context_dependent_function(proto.SerializeToString(), types)
            if not text:
                return None
            made = onnx.FunctionProto()
            made.ParseFromString(text)
            return made
    except Exception:  # the package raises its own errors of C++ about operators that it does not know
        return None
    return None


def _type_of(operand: Operand | None) -> onnx.TypeProto:
    if isinstance(operand, Live):
        return onnx.helper.make_tensor_type_proto(_TYPES.get(operand.kind, onnx.TensorProto.FLOAT), operand.one)
    if isinstance(operand, Known):
        return onnx.helper.make_tensor_type_proto(
            onnx.helper.np_dtype_to_tensor_dtype(np.dtype(operand.one.dtype)), operand.one.shape
        )
    return onnx.TypeProto()


def with_attributes(function: onnx.FunctionProto, call: Any) -> Sequence[Any]:
    """The function's nodes, with what the call says of its attributes."""
    given = {attr.name: attr for attr in call.attribute}
    given = {**{attr.name: attr for attr in function.attribute_proto}, **given}
    return [_filled(node, given) for node in function.node]


def _filled(node: Any, given: Mapping[str, Any]) -> Any:
    made = onnx.NodeProto()
    made.CopyFrom(node)
    del made.attribute[:]
    for attr in node.attribute:
        if attr.ref_attr_name:
            if attr.ref_attr_name in given:
                new = made.attribute.add()
                new.CopyFrom(given[attr.ref_attr_name])
                new.name = attr.name
            continue
        new = made.attribute.add()
        new.CopyFrom(attr)
        if attr.type == onnx.AttributeProto.GRAPH:
            inner = [_filled(each, given) for each in attr.g.node]
            del new.g.node[:]
            new.g.node.extend(inner)
    return made
