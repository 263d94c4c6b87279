"""The configuration that an ONNX model and the name of some data stand for: `mrt net.onnx --data folder:pictures/`."""

from __future__ import annotations

from pathlib import Path

from mrt.config.raw import Raw
from mrt.errors import MRTError

__all__ = ["read"]

_BATCHES = 8


def read(path: Path, data: str | None, input_shape: str) -> Raw:
    """The sections for a model: evaluated on the data, compiled, and written to the working directory.

    Args:
        path: of the model.
        data: `DATASET` or `DATASET:FOLDER`, such as `folder:pictures/`.
        input_shape: what the model says; empty where it leaves that to [DEFAULT] Input_shape.

    Raises:
        MRTError: the data is not named, or there is no such file.
    """
    source = str(path)
    if not data:
        raise MRTError(
            f"{source}: name what to calibrate on, such as --data folder:pictures/ (pictures in folders), "
            "--data npz:arrays.npz, or --data imagenet"
        )
    if not path.is_file():
        raise MRTError(f"{source}: no such file")
    name, _, folder = data.partition(":")
    raw = Raw(source)
    raw.set("DEFAULT", "Model_name", str(path.resolve()), source)
    raw.set("DEFAULT", "Output_dir", ".", source)
    raw.set("DEFAULT", "Input_shape", input_shape, source)
    raw.set("CALIBRATION", "Dataset", name, "--data")
    raw.set("CALIBRATION", "Dataset_dir", folder, "--data")
    raw.set("CALIBRATION", "Calibrate_num", str(_BATCHES), source)
    for section in ("EVALUATION", "COMPILATION"):
        raw.sections.setdefault(section, {})
    return raw
