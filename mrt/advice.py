"""What the command line advises about an error of the library: the keys of a configuration that bear on it."""

from __future__ import annotations

from mrt.errors import MRTError, Remedy

_ADVICE = {
    Remedy.LEAVE_IN_FLOAT: "leave it in float by splitting the network before it ([SPLIT_MODEL] Keys)",
    Remedy.INPUT_SHAPE: "check Input_shape",
    Remedy.INPUT_BITS: "raise Input_precision",
    Remedy.MODEL_FILES: "check Model_dir and Model_name",
    Remedy.CALIBRATE_AGAIN: "run the CALIBRATION stage again (Start = PREPARE)",
    Remedy.CALIBRATION_DATA: "check Dataset_dir and Calibrate_num",
    Remedy.DEVIATIONS: "give [CALIBRATION] Lambda",
    Remedy.RESTORED_NAMES: "check [QUANTIZATION] Restore_name",
}


def advised(error: Exception) -> str:
    """The error's message in one line, with what to do where that is known."""
    message = " ".join(str(error).split())
    remedy = error.remedy if isinstance(error, MRTError) else None
    return message if remedy is None else f"{message}; {_ADVICE[remedy]}"
