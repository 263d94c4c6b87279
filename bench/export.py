"""A prepared network (MXNet's JSON, see `bench.networks`) as ONNX: the few operators that our networks have.

Weights are initializers and not inputs: an input may change from run to run, so that an engine can't pack it ahead.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mrt.errors import MRTError

OPSET = 17
BATCH = "batch"
_VERIFIED = 8  # pictures
_TOLERANCE = 1e-4
_FLOAT = TensorProto.FLOAT

Attributes = dict[str, str]
Rule = Callable[[str, list[str], Attributes], list[onnx.NodeProto]]


def export(folder: Path) -> None:
    """Write FOLDER/fp32.onnx from prepared.json and params.npz; its batch is symbolic.

    Raises:
        MRTError: an operator has no rule.
    """
    document = json.loads((folder / "prepared.json").read_text())
    with np.load(folder / "params.npz") as stored:
        params = dict(stored)
    shape = np.load(folder / "pictures.npy", mmap_mode="r").shape[1:]
    classes = np.load(folder / "outputs.npy", mmap_mode="r").shape[1:]
    nodes: list[onnx.NodeProto] = []
    raw = document["nodes"]
    for node in raw:
        if node["op"] != "null":
            inputs = [raw[index]["name"] for index, *_ in node["inputs"]]
            nodes += _rule(node["op"])(node["name"], inputs, node.get("attrs", {}))
    output = raw[document["heads"][0][0]]["name"]
    graph = helper.make_graph(
        nodes,
        "prepared",
        [helper.make_tensor_value_info("data", _FLOAT, [BATCH, *shape])],
        [helper.make_tensor_value_info(output, _FLOAT, [BATCH, *classes])],
        [numpy_helper.from_array(array, key) for key, array in {**params, **_limits(raw)}.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "fp32.onnx"))


def verify(folder: Path) -> None:
    """Run FOLDER/fp32.onnx on the first pictures.

    Raises:
        MRTError: its outputs are not those of outputs.npy.
    """
    import onnxruntime

    pictures, wanted = (np.load(folder / f"{name}.npy", mmap_mode="r")[:_VERIFIED] for name in ("pictures", "outputs"))
    session = onnxruntime.InferenceSession(str(folder / "fp32.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"data": np.ascontiguousarray(pictures)})
    worst = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if not worst < _TOLERANCE:
        raise MRTError(f"{folder / 'fp32.onnx'}: outputs are {worst:.1e} of the largest away from the float network's")


def _rule(operator: str) -> Rule:
    if operator not in _RULES:
        raise MRTError(f"operator {operator} is not exported to ONNX; there are {', '.join(_RULES)}")
    return _RULES[operator]


def _limits(raw: list[dict[str, Any]]) -> dict[str, npt.NDArray[np.float32]]:
    """The limits of clips, which are inputs in ONNX."""
    clips = [node for node in raw if node["op"] == "clip"]
    return {
        f"{clip['name']}_{side}": np.array(float(clip["attrs"][side]), np.float32)
        for clip in clips
        for side in ("a_min", "a_max")
    }


def _convolution(name: str, inputs: list[str], attrs: Attributes) -> list[onnx.NodeProto]:
    values: dict[str, Any] = {
        "kernel_shape": _pair(attrs, "kernel"),
        "strides": _pair(attrs, "stride"),
        "dilations": _pair(attrs, "dilate"),
        "pads": 2 * _pair(attrs, "pad"),
        "group": int(attrs.get("num_group", "1")),
    }
    return [helper.make_node("Conv", inputs, [name], name, **values)]


def _pooling(name: str, inputs: list[str], attrs: Attributes) -> list[onnx.NodeProto]:
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


def _activation(name: str, inputs: list[str], attrs: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node({"relu": "Relu"}[attrs["act_type"]], inputs, [name], name)]


def _clip(name: str, inputs: list[str], _: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node("Clip", [*inputs, f"{name}_a_min", f"{name}_a_max"], [name], name)]


def _batch_norm(name: str, inputs: list[str], attrs: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node("BatchNormalization", inputs, [name], name, epsilon=float(attrs["eps"]))]


def _concat(name: str, inputs: list[str], attrs: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node("Concat", inputs, [name], name, axis=int(attrs["dim"]))]


def _add(name: str, inputs: list[str], _: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node("Add", inputs, [name], name)]


def _flatten(name: str, inputs: list[str], _: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node("Flatten", inputs, [name], name, axis=1)]


def _dense(name: str, inputs: list[str], _: Attributes) -> list[onnx.NodeProto]:
    return [helper.make_node("Gemm", inputs, [name], name, transB=1)]


def _pair(attrs: Attributes, key: str) -> list[int]:
    return list(ast.literal_eval(attrs[key]))


_RULES: dict[str, Rule] = {
    "Activation": _activation,
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Flatten": _flatten,
    "FullyConnected": _dense,
    "Pooling": _pooling,
    "clip": _clip,
    "elemwise_add": _add,
}
