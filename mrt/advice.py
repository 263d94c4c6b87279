"""What the command line advises about an error of the library: the keys of a configuration that bear on it."""

from __future__ import annotations

import logging

from mrt.errors import MRTError, Remedy

_ADVICE = {
    Remedy.LEAVE_IN_FLOAT: "leave it in float by splitting the network before it ([SPLIT_MODEL] Keys)",
    Remedy.INPUT_SHAPE: "check Input_shape",
    Remedy.INPUT_BITS: "raise Input_precision",
    Remedy.MODEL_FILES: "check Model_dir and Model_name",
    Remedy.CALIBRATE_AGAIN: "run the CALIBRATION stage again (Start = PREPARE)",
    Remedy.CALIBRATION_DATA: "check Dataset_dir and Calibrate_num",
    Remedy.DEVIATIONS: "give [CALIBRATION] Lambda",
    Remedy.DATA_ROOT: "or name another root directory with Dataset_dir or MRT_DATA",
    Remedy.DATA_PLACE: "name it with Dataset_dir",
    Remedy.METRIC: "if they are scores of classes, check [DATASET] Label_offset; else name another [EVALUATION] Metric",
    Remedy.LABELS: "check [DATASET] Label_offset, Mean, Std and Scale, and that the classes have the network's order; "
    "if its outputs are no class scores, set [EVALUATION] Metric=none",
    Remedy.RESTORED_NAMES: "check [QUANTIZATION] Restore_name",
}


def advised(error: Exception) -> str:
    """The error's message in one line, with what to do where that is known."""
    return _with(" ".join(str(error).split()), error.remedy if isinstance(error, MRTError) else None)


class Advice(logging.Filter):
    """Adds what to do to a warning of the library whose record has a `remedy`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let it pass, advised."""
        record.msg, record.args = _with(record.getMessage(), getattr(record, "remedy", None)), ()
        record.remedy = None  # once, whatever handlers there are
        return True


def _with(message: str, remedy: Remedy | None) -> str:
    return message if remedy is None else f"{message}; {_ADVICE[remedy]}"
