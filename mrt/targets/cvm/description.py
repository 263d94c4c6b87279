"""What a compiled model's integers mean: the content of its ext.json."""

from __future__ import annotations

from typing import Any

import cvm

from mrt import __version__
from mrt.datasets import Dataset
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.quantize import Quantized


def describe(model: cvm.Model, quantized: Quantized, dataset: Dataset) -> dict[str, Any]:
    """Scales and precisions of inputs and outputs, the preprocessing and the class labels; see `cvm.description`."""
    shapes = model.infer().shapes
    axis = next(iter(quantized.graph.inputs.values())).index(-1)
    return {
        "producer": f"mrt {__version__}",
        "inputs": [
            {
                **_tensor(quantized.input, model.input_shape, axis),
                "name": "data",
                "batch_axis": axis,
                "start": 0,
                "preprocess": dataset.preprocess_info(),
            }
        ],
        "outputs": [_tensor(info, shapes[node][index]) for info, (node, index) in zip(quantized.outputs, model.heads)],
        "labels": dataset.labels,
    }


def _tensor(info: TensorInfo, shape: tuple[int, ...], batch_axis: int = 0) -> dict[str, Any]:
    batched = [-1 if axis == batch_axis else dim for axis, dim in enumerate(shape)]
    return {**info.to_json(), "scale_float": float(info.scale), "shape": batched}
