"""What a compiled model's integers mean: the content of its ext.json."""

from __future__ import annotations

from typing import Any

import cvm

from mrt import __version__
from mrt.datasets import Dataset
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.quantize import Quantized


def describe(model: cvm.Model, quantized: Quantized, dataset: Dataset) -> dict[str, Any]:
    """Scales and precisions of input and outputs, the preprocessing and the class labels; see `cvm.package`."""
    shapes = model.infer().shapes
    return {
        "producer": f"mrt {__version__}",
        "input": {
            **_tensor(quantized.input, model.input_shape),
            "name": "data",
            "preprocess": dataset.preprocess_info(),
        },
        "outputs": [_tensor(info, shapes[node][index]) for info, (node, index) in zip(quantized.outputs, model.heads)],
        "labels": dataset.labels,
    }


def _tensor(info: TensorInfo, shape: tuple[int, ...]) -> dict[str, Any]:
    return {**info.to_json(), "scale_float": float(info.scale), "shape": [-1, *shape[1:]]}
