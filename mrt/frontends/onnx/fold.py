"""Computes what does not depend on the network's data, with the reference of the onnx package."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from mrt.errors import MRTError
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.values import Known, Operand
from mrt.graph import Array

_MOST = 2**28
_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")


def initializers(tensors: Iterable[Any]) -> dict[str, Operand | None]:
    """The arrays of a graph's initializers by name.

    Raises:
        MRTError: one is damaged.
    """
    found: dict[str, Operand | None] = {}
    for tensor in tensors:
        array = as_array(tensor, tensor.name)
        found[tensor.name] = Known(array, array)
    return found


def as_array(tensor: Any, name: str) -> Array:
    """The array of a tensor of the model.

    Raises:
        MRTError: its data is not what its shape says, or of a type that is not supported.
    """
    dims = list(tensor.dims)
    if any(size < 0 for size in dims) or prod(dims) > _MOST * 8:
        raise MRTError(f"tensor {name}: a shape of {dims} cannot be read")
    try:
        array: Array = numpy_helper.to_array(tensor)
    except Exception as error:  # whatever the package raises about damaged data
        reason = " ".join(str(error).split())[:120]
        raise MRTError(f"tensor {name}: its data does not fit its type and shape {dims} ({reason})") from None
    if array.dtype.kind not in "fiub":
        raise MRTError(f"tensor {name}: entries of type {array.dtype} are not supported")
    return array


def folded(node: OnnxNode, proto: Any, opsets: Mapping[str, int]) -> Sequence[Operand | None]:
    """A node's outputs, computed for one sample and, where they differ, for two."""
    if node.op in _RANDOM:
        raise node.refuse("random numbers are not supported")
    inputs = [operand for operand in node.inputs if isinstance(operand, Known)]
    one = _computed(node, proto, opsets, [operand.one for operand in inputs])
    if any(operand.two is None for operand in inputs):
        return [Known(array, None) for array in one]
    if all(operand.fixed for operand in inputs):
        return [Known(array, array) for array in one]
    try:
        two = _computed(
            node, proto, opsets, [operand.one if operand.two is None else operand.two for operand in inputs]
        )
    except MRTError:
        return [Known(array, None) for array in one]
    return [Known(first, second) for first, second in zip(one, two)]


def _computed(node: OnnxNode, proto: Any, opsets: Mapping[str, int], arrays: Sequence[Array]) -> list[Array]:
    if node.op == "Constant":
        return [_constant(node)]
    _require_small(node, arrays)
    there = [name if operand is not None else "" for name, operand in zip(proto.input, node.inputs)]
    names = [name for name in there if name]  # an input of a function that its call leaves out has a name, too
    bare = onnx.NodeProto()
    bare.CopyFrom(proto)
    bare.input[:] = there
    unique = list(dict.fromkeys(names))
    by_name = dict(zip(names, arrays))
    inputs = [_info(name, by_name[name]) for name in unique]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in proto.output if name]
    graph = onnx.helper.make_graph([bare], "constants", inputs, outputs)
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    try:
        from onnx.reference import ReferenceEvaluator

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            session = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=imports))
            results = session.run(None, by_name)
    except Exception as error:  # the package's reference raises anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise node.refuse(f"it cannot be computed from its constant inputs ({reason})") from None
    found = iter(results)
    arrays_out: list[Array] = []
    for name in proto.output:
        array = np.asarray(next(found)) if name else np.zeros(0)
        if array.dtype.kind not in "fiub":
            raise node.refuse(f"its result of type {array.dtype} is not supported")
        arrays_out.append(array)
    return arrays_out


def _info(name: str, array: Array) -> Any:
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def _constant(node: OnnxNode) -> Array:
    if "value" in node.attrs:
        return as_array(node.attrs["value"], node.name)
    for key, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        for name in (key, f"{key}s"):
            if name in node.attrs:
                return np.array(node.attrs[name], dtype)
    raise node.refuse("a constant of this type is not supported")


def _require_small(node: OnnxNode, arrays: Sequence[Array]) -> None:
    """Refuse results that would fill the memory."""
    numbers = [np.asarray(array, np.float64) for array in arrays if array.dtype.kind in "iuf" and array.size <= 64]
    size = 0.0
    if node.op in ("ConstantOfShape", "Expand") and numbers:
        size = float(np.prod(np.maximum(numbers[-1], 1)))
    elif node.op == "Tile" and numbers:
        size = float(np.prod(np.maximum(numbers[-1], 1))) * arrays[0].size
    elif node.op == "Range" and len(numbers) == 3 and numbers[2].all():
        size = float(np.max((numbers[1] - numbers[0]) / numbers[2], initial=0))
    elif node.op in ("Resize", "Upsample", "Pad", "OneHot", "EyeLike") and numbers:
        size = float(np.max([np.abs(each).max(initial=0) for each in numbers])) * max(array.size for array in arrays)
    if not size < _MOST:
        raise node.refuse("its result is too large")
