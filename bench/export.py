"""A prepared network (MXNet's JSON, see `bench.networks`) as ONNX: the few operators that our networks have.

Weights are initializers and not inputs: an input may change from run to run, so that an engine can't pack it ahead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.engines import side_by_side
from bench.onnx_rules import rule
from mrt.errors import MRTError

OPSET = 17
BATCH = "batch"
_VERIFIED = 8  # pictures
_TOLERANCE = 1e-4
_FLOAT = TensorProto.FLOAT


def export(folder: Path) -> None:
    """Write FOLDER/fp32.onnx from prepared.json and params.npz; its batch is symbolic.

    FOLDER/shapes.json, where it is there, has the shape of every value by name.

    Raises:
        MRTError: an operator has no rule.
    """
    document = json.loads((folder / "prepared.json").read_text())
    with np.load(folder / "params.npz") as stored:
        params = dict(stored)
    shape = np.load(folder / "pictures.npy", mmap_mode="r").shape[1:]
    classes = list(np.load(folder / "outputs.npy", mmap_mode="r").shape[1:])
    shapes = json.loads((folder / "shapes.json").read_text()) if (folder / "shapes.json").is_file() else {}
    nodes: list[onnx.NodeProto] = []
    raw = document["nodes"]
    for node in raw:
        if node["op"] != "null":
            inputs = [raw[index]["name"] for index, *_ in node["inputs"]]
            nodes += rule(node["op"])(node["name"], inputs, node.get("attrs", {}), shapes.get(inputs[0], []))
    outputs = [raw[index]["name"] for index, *_ in document["heads"]]
    graph = helper.make_graph(
        nodes,
        "prepared",
        [helper.make_tensor_value_info("data", _FLOAT, [BATCH, *shape])],
        [helper.make_tensor_value_info(o, _FLOAT, [BATCH, *shapes.get(o, [BATCH, *classes])[1:]]) for o in outputs],
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
    found = side_by_side(session.run(None, {"data": np.ascontiguousarray(pictures)}))
    wanted = wanted.reshape(len(wanted), -1)
    worst = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if not worst < _TOLERANCE:
        raise MRTError(f"{folder / 'fp32.onnx'}: outputs are {worst:.1e} of the largest away from the float network's")


def _limits(raw: list[dict[str, Any]]) -> dict[str, npt.NDArray[np.float32]]:
    """The limits of clips, which are inputs in ONNX."""
    clips = [node for node in raw if node["op"] == "clip"]
    return {
        f"{clip['name']}_{side}": np.array(float(clip["attrs"][side]), np.float32)
        for clip in clips
        for side in ("a_min", "a_max")
    }
