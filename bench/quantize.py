"""Quantizes an exported network for the peers, each with its own tool, calibrated on a few pictures.

Writes beside `fp32.onnx`:

- `u8s8.onnx`, `s8s8.onnx`: ONNX Runtime, QDQ, weights per channel, unsigned and signed activations;
- `int8.xml`, `int8.bin`: OpenVINO, post-training quantization of NNCF.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

_PICTURES = 8
_ACTIVATIONS = {"u8s8": QuantType.QUInt8, "s8s8": QuantType.QInt8}


def quantize(folder: Path) -> None:
    """Quantize FOLDER/fp32.onnx for ONNX Runtime and for OpenVINO."""
    pictures = np.load(folder / "pictures.npy")[:_PICTURES]
    _for_onnxruntime(folder, pictures)
    _for_openvino(folder, pictures)


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pictures: npt.NDArray[np.float32]) -> None:
        self._batches: Iterator[npt.NDArray[np.float32]] = iter(pictures[:, None])

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """The next picture, a batch of its own."""
        picture = next(self._batches, None)
        return None if picture is None else {"data": picture}


def _for_onnxruntime(folder: Path, pictures: npt.NDArray[np.float32]) -> None:
    logging.getLogger().setLevel(logging.ERROR)  # it recommends the pre-processing that it has just had
    cleaned = folder / "cleaned.onnx"
    quant_pre_process(str(folder / "fp32.onnx"), str(cleaned), skip_symbolic_shape=True)
    for name, activations in _ACTIVATIONS.items():
        quantize_static(
            str(cleaned),
            str(folder / f"{name}.onnx"),
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
        )
    initializers = {tensor.name for tensor in onnx.load(str(cleaned)).graph.initializer}
    assert initializers.isdisjoint(value.name for value in onnx.load(str(cleaned)).graph.input)


def _for_openvino(folder: Path, pictures: npt.NDArray[np.float32]) -> None:
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = openvino.Core().read_model(str(folder / "fp32.onnx"))
    model.reshape([1, *pictures.shape[1:]])
    batches = nncf.Dataset(list(pictures[:, None]))
    quantized = nncf.quantize(model, batches, target_device=nncf.TargetDevice.CPU, subset_size=len(pictures))
    openvino.save_model(quantized, str(folder / "int8.xml"), compress_to_fp16=False)
