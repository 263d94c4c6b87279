"""Quantizes a prepared network with MXNet's own tool; in `.venv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy.typing as npt
from mxnet.contrib.quantization import quantize_model_mkldnn

_BATCH = 10


def quantize_for_mxnet(
    prepared: Path, target: Path, pictures: npt.NDArray[Any], calibration: str = "naive", activations: str = "auto"
) -> None:
    """Write TARGET-symbol.json and TARGET-0000.params from PREPARED.json and PREPARED.params.

    Args:
        prepared: path of the float network without its endings.
        target: path to write to, likewise.
        pictures: to calibrate on.
        calibration: "naive" (minimum and maximum) or "entropy".
        activations: "int8", "uint8" or "auto".
    """
    symbol, params = mx.sym.load(f"{prepared}.json"), mx.nd.load(f"{prepared}.params")
    arguments, auxiliary = (
        {key.removeprefix(kind): value for key, value in params.items() if key.startswith(kind)}
        for kind in ("arg:", "aux:")
    )
    quantized, arguments, auxiliary = quantize_model_mkldnn(
        symbol,
        arguments,
        auxiliary,
        data_names=("data",),
        label_names=None,
        calib_mode=calibration,
        calib_data=mx.io.NDArrayIter(pictures, batch_size=min(_BATCH, len(pictures))),
        num_calib_examples=len(pictures),
        quantized_dtype=activations,
        quantize_mode="smart",
        logger=None,
    )
    mx.model.save_checkpoint(str(target), 0, quantized, arguments, auxiliary)
