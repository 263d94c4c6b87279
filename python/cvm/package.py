"""The model directory: `symbol`, `params`, `ext.json` (what the integers mean) and `data.npy` (one sample batch).

``ext.json`` holds ``producer``; ``input`` (name, shape with -1 for the batch, precision, scale, preprocess);
``outputs`` (name, shape, precision, scale, offset); ``labels``. A scale is an exact fraction "num/den", or a list of
them, one per channel; real value = (integer + offset) * scale.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cvm import format as model_format
from cvm.errors import CVMError
from cvm.files import read_file, write_files
from cvm.formal import check_input
from cvm.model import INPUT, Model
from cvm.ops.base import Array
from cvm.quantization import saturate

SYMBOL, PARAMS, EXT, SAMPLE = "symbol", "params", "ext.json", "data.npy"


@dataclass
class Package:
    """A model and its `ext.json`, empty where the directory has none."""

    model: Model
    ext: dict[str, Any] = field(default_factory=dict)


def save_package(
    directory: str | os.PathLike[str], model: Model, ext: dict[str, Any], sample: Array | None = None
) -> None:
    """Write a model directory, its files whole or not at all; without `sample` there is no `data.npy`.

    `sample` is a batch of integers of the model's input. Raises `CVMError` for a model or sample the target refuses,
    an `ext` that is not JSON, or a place that cannot be written.
    """
    directory = Path(directory)
    symbol, params = model_format.encode(model)
    try:
        text = json.dumps(ext, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise CVMError(f"{EXT}: {error}") from None
    contents = {directory / SYMBOL: symbol, directory / PARAMS: params, directory / EXT: text.encode()}
    if sample is not None:
        contents[directory / SAMPLE] = _sample_bytes(model, np.asarray(sample))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_files(contents)
        if sample is None:
            (directory / SAMPLE).unlink(missing_ok=True)
    except OSError as error:
        raise CVMError(f"cannot write {error.filename}: {error.strerror}") from None


def load_package(directory: str | os.PathLike[str]) -> Package:
    """Read a model directory; `CVMError` where a file is missing (`ext.json` may be) or damaged."""
    directory = Path(directory)
    if not directory.is_dir():
        raise CVMError(f"{directory} is not a model directory")
    model = model_format.load(directory / SYMBOL, directory / PARAMS)
    path = directory / EXT
    if not path.exists():
        return Package(model)
    try:
        ext = json.loads(read_file(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CVMError(f"{path} is not valid JSON ({str(error)[:80]})") from None
    if not isinstance(ext, dict):
        raise CVMError(f"{path} must hold an object")
    return Package(model, ext)


def _sample_bytes(model: Model, sample: Array) -> bytes:
    check_input(model, sample)
    buffer = io.BytesIO()
    np.save(buffer, saturate(sample, model.precisions[INPUT]), allow_pickle=False)
    return buffer.getvalue()
