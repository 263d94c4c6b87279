"""What a compiled model's integers mean: the content of its ext.json."""

from __future__ import annotations

from typing import Any

import cvm
from cvm.model import INPUT

from mrt.datasets import Dataset
from mrt.executors import instruction_set
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.quantize import Quantized
from mrt.targets.cvm.compiler import input_slots
from mrt.version import __version__


def describe(model: cvm.Model, quantized: Quantized, dataset: Dataset | None) -> dict[str, Any]:
    """Scales and precisions of inputs and outputs, the preprocessing and the class labels; see `cvm.description`."""
    shapes = model.infer().shapes
    outputs = [_tensor(info, shapes[node][index]) for info, (node, index) in zip(quantized.outputs, model.heads)]
    return {
        "producer": f"mrt {__version__}",
        "instruction_set": instruction_set.held(),
        "inputs": _inputs(quantized, dataset),
        "outputs": outputs,
        "labels": dataset.labels if dataset else None,
    }


def _inputs(quantized: Quantized, dataset: Dataset | None) -> list[dict[str, Any]]:
    several = len(quantized.inputs) > 1
    described = []
    for info, slot in zip(quantized.inputs, input_slots(quantized)):
        named = {} if several else {"name": INPUT, "preprocess": dataset.preprocess_info() if dataset else None}
        place = {"batch_axis": slot.batch_axis, "start": slot.start}
        described.append({**_numbers(info), "shape": slot.shape, **place, **named})
    return described


def _tensor(info: TensorInfo, shape: tuple[int, ...]) -> dict[str, Any]:
    return {**_numbers(info), "shape": [-1, *shape[1:]]}


def _numbers(info: TensorInfo) -> dict[str, Any]:
    scales = [float(step) for step in info.pixels.steps] if info.pixels else float(info.scale)
    return {**info.to_json(), "scale_float": scales}
