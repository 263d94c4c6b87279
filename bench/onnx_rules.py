"""MXNet's operators as ONNX's: the few that our networks have, each with the name of its node as that of its output."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mrt.errors import MRTError

_DEFAULTS = {"stride": "(1, 1)", "pad": "(0, 0)", "dilate": "(1, 1)", "adj": "(0, 0)"}  # MXNet's, in two dimensions

Attributes = dict[str, str]
Shape = Sequence[int]
Rule = Callable[[str, list[str], Attributes, Shape], list[onnx.NodeProto]]
"""Of a node's name, inputs, attributes, and the shape of its first input where that is known, to nodes."""


def rule(operator: str) -> Rule:
    """The rule of one operator.

    Raises:
        MRTError: there is none.
    """
    if operator not in _RULES:
        raise MRTError(f"operator {operator} is not exported to ONNX; there are {', '.join(_RULES)}")
    return _RULES[operator]


def _convolution(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    values: dict[str, Any] = {
        "kernel_shape": _pair(attrs, "kernel"),
        "strides": _pair(attrs, "stride"),
        "dilations": _pair(attrs, "dilate"),
        "pads": 2 * _pair(attrs, "pad"),
        "group": int(attrs.get("num_group", "1")),
    }
    return [helper.make_node("Conv", inputs, [name], name, **values)]


def _pooling(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    if attrs.get("global_pool", "False") == "True" and attrs["pool_type"] == "avg":
        return [helper.make_node("GlobalAveragePool", inputs, [name], name)]
    if attrs["pool_type"] != "max":
        raise MRTError(f"{name}: only max pooling and the global average are exported to ONNX")
    values: dict[str, Any] = {
        "kernel_shape": _pair(attrs, "kernel"),
        "strides": _pair(attrs, "stride"),
        "pads": 2 * _pair(attrs, "pad"),
        "ceil_mode": int(attrs.get("pooling_convention", "valid") == "full"),
    }
    return [helper.make_node("MaxPool", inputs, [name], name, **values)]


def _activation(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node({"relu": "Relu"}[attrs["act_type"]], inputs, [name], name)]


def _clip(name: str, inputs: list[str], _: Attributes, __: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Clip", [*inputs, f"{name}_a_min", f"{name}_a_max"], [name], name)]


def _batch_norm(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    epsilon = float(attrs.get("eps", "1e-3"))
    return [helper.make_node("BatchNormalization", inputs, [name], name, epsilon=epsilon)]


def _concat(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Concat", inputs, [name], name, axis=int(attrs["dim"]))]


def _add(name: str, inputs: list[str], _: Attributes, __: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Add", inputs, [name], name)]


def _flatten(name: str, inputs: list[str], _: Attributes, __: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Flatten", inputs, [name], name, axis=1)]


def _dense(name: str, inputs: list[str], _: Attributes, __: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Gemm", inputs, [name], name, transB=1)]


def _deconvolution(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    values: dict[str, Any] = {
        "kernel_shape": _pair(attrs, "kernel"),
        "strides": _pair(attrs, "stride"),
        "pads": 2 * _pair(attrs, "pad"),
        "output_padding": _pair(attrs, "adj"),
        "group": int(attrs.get("num_group", "1")),
    }
    return [helper.make_node("ConvTranspose", inputs, [name], name, **values)]


def _pad(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    widths = ast.literal_eval(attrs["pad_width"])
    pads = _constant(f"{name}_pads", np.array([*widths[::2], *widths[1::2]], np.int64))
    return [pads, helper.make_node("Pad", [*inputs, f"{name}_pads"], [name], name)]


def _resize(name: str, inputs: list[str], attrs: Attributes, shape: Shape) -> list[onnx.NodeProto]:
    aligned = attrs.get("align_corners", "True") == "True"
    sizes = [1, shape[1], int(attrs["height"]), int(attrs["width"])]
    scales = np.array([after / before for before, after in zip([1, *shape[1:]], sizes)], np.float32)
    scales = np.nextafter(scales, np.inf, where=scales != 1, out=scales)  # sizes are rounded down
    how = {"mode": "linear", "coordinate_transformation_mode": "align_corners" if aligned else "half_pixel"}
    resize = helper.make_node("Resize", [inputs[0], "", f"{name}_scales"], [name], name, **how)
    return [_constant(f"{name}_scales", scales), resize]


def _adaptive_pooling(name: str, inputs: list[str], attrs: Attributes, shape: Shape) -> list[onnx.NodeProto]:
    """Means of rows, then of columns, as products: where regions differ in size, no pooling of ONNX's does it."""
    size = int(attrs["output_size"])
    if size == 1:
        return [helper.make_node("GlobalAveragePool", inputs, [name], name)]
    rows, columns = (_means(length, size) for length in shape[2:])
    return [
        _constant(f"{name}_rows", rows),
        _constant(f"{name}_columns", np.ascontiguousarray(columns.T)),
        helper.make_node("MatMul", [f"{name}_rows", inputs[0]], [f"{name}_low"], f"{name}_low"),
        helper.make_node("MatMul", [f"{name}_low", f"{name}_columns"], [name], name),
    ]


def _means(length: int, size: int) -> Any:
    matrix = np.zeros((size, length), np.float32)
    for i in range(size):
        first, last = i * length // size, -(-(i + 1) * length // size)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


def _transpose(name: str, inputs: list[str], attrs: Attributes, _: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Transpose", inputs, [name], name, perm=_pair(attrs, "axes"))]


def _dropout(name: str, inputs: list[str], _: Attributes, __: Shape) -> list[onnx.NodeProto]:
    return [helper.make_node("Identity", inputs, [name], name)]


def _constant(name: str, array: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], name, value=numpy_helper.from_array(array, name))


def _pair(attrs: Attributes, key: str) -> list[int]:
    return list(ast.literal_eval(attrs.get(key, _DEFAULTS.get(key, ""))))


_RULES: dict[str, Rule] = {
    "Activation": _activation,
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "FullyConnected": _dense,
    "Pad": _pad,
    "Pooling": _pooling,
    "_contrib_AdaptiveAvgPooling2D": _adaptive_pooling,
    "_contrib_BilinearResize2D": _resize,
    "clip": _clip,
    "elemwise_add": _add,
    "transpose": _transpose,
}
