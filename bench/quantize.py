"""Quantizes an exported network for ONNX Runtime and OpenVINO, each with its own tool; in `.venv-bench`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

Pictures = npt.NDArray[np.float32]

_PICTURES = 8
_BATCH = 10
_TYPES = {"unsigned": QuantType.QUInt8, "signed": QuantType.QInt8}
_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


def quantize(folder: Path) -> None:
    """Quantize FOLDER/fp32.onnx as the benchmark runs it, calibrated on a few pictures.

    Writes beside it `u8s8.onnx`, `s8s8.onnx` (ONNX Runtime, unsigned and signed activations) and `int8.xml`, `int8.bin`
    (OpenVINO).
    """
    pictures = np.load(folder / "pictures.npy")[:_PICTURES]
    clean(folder)
    for name, activations in (("u8s8", "unsigned"), ("s8s8", "signed")):
        for_onnxruntime(folder, folder / f"{name}.onnx", pictures, activations)
    for_openvino(folder, folder / "int8.xml", pictures)


def clean(folder: Path) -> None:
    """Write FOLDER/cleaned.onnx from fp32.onnx, as ONNX Runtime's quantization wants it."""
    cleaned = folder / "cleaned.onnx"
    quant_pre_process(str(folder / "fp32.onnx"), str(cleaned), skip_symbolic_shape=True)
    graph = onnx.load(str(cleaned)).graph
    assert {tensor.name for tensor in graph.initializer}.isdisjoint(value.name for value in graph.input)


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Batches in ranges, so that the calibrators, which keep every tensor of a range, need not keep all."""

    def __init__(self, pictures: Pictures) -> None:
        self._batches = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
        self.set_range(0, len(self._batches))

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Deliver the batches of a range from now on."""
        self._range = iter(self._batches[start_index:end_index])

    def get_next(self) -> dict[str, Pictures] | None:
        """The next batch of the range."""
        batch = next(self._range, None)
        return None if batch is None else {"data": batch}


def for_onnxruntime(
    folder: Path,
    target: Path,
    pictures: Pictures,
    activations: str,
    method: str = "minmax",
    keep: bool = False,
) -> None:
    """Quantize FOLDER/cleaned.onnx to QDQ form, weights signed and per channel.

    Args:
        folder: of the network.
        target: the ONNX file to write.
        pictures: to calibrate on.
        activations: "unsigned" or "signed".
        method: "minmax", "percentile" or "entropy": how a tensor's range is found.
        keep: keep the ranges in FOLDER for other settings with the same method, or use those kept.
    """
    logging.getLogger().setLevel(logging.ERROR)  # it recommends the pre-processing that it has just had
    quantize_static(
        str(folder / "cleaned.onnx"),
        str(target),
        _Pictures(pictures),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=_TYPES[activations],
        weight_type=QuantType.QInt8,
        calibrate_method=_METHODS[method],
        extra_options={"CalibStridedMinMax": 1},  # of any method: one batch is calibrated on at a time
        calibration_cache_path=str(folder / f"{method}.ranges.json") if keep else None,
    )


def for_openvino(
    folder: Path,
    target: Path,
    pictures: Pictures,
    preset: str = "performance",
    fast_bias_correction: bool = True,
    seven_bits: bool = False,
) -> None:
    """Quantize FOLDER/fp32.onnx with NNCF and write it to TARGET (`.xml`; the `.bin` goes beside it).

    Args:
        folder: of the network.
        target: the file to write.
        pictures: to calibrate on, one at a time.
        preset: "performance" (symmetric activations) or "mixed" (asymmetric where they are signed).
        fast_bias_correction: correct biases layer by layer; else on the whole network's outputs, which takes longer.
        seven_bits: weights of 7 bits in every layer, not in the first alone: NNCF's remedy for processors without VNNI,
            whose products saturate in 16 bits.
    """
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    # Not Core.read_model: it leaves biases as unfolded reshapes, which NNCF does not recognise and so cannot correct.
    model = openvino.convert_model(str(folder / "fp32.onnx"), input=[1, *pictures.shape[1:]])
    settings: dict[str, Any] = {
        "preset": nncf.QuantizationPreset(preset),
        "fast_bias_correction": fast_bias_correction,
        "subset_size": len(pictures),
        "advanced_parameters": nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.ENABLE if seven_bits else nncf.OverflowFix.FIRST_LAYER
        ),
    }
    batches = nncf.Dataset(list(pictures[:, None]))
    quantized = nncf.quantize(model, batches, target_device=nncf.TargetDevice.CPU, **settings)
    openvino.save_model(quantized, str(target), compress_to_fp16=False)
