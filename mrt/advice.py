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
    Remedy.SHAPE_OF_EACH: "write Input_shape as `name: (-1, …)` for each input, split by commas",
    Remedy.ANY_INPUTS: "take Dataset=npz, or a class of your own",
    Remedy.OWN_ARRAYS: "save it with 8, or take Dataset=npz",
    Remedy.DEVICE: "use --device cpu (Device_type, Device_ids), or install the gpu extra",
    Remedy.FEWER_CALIBRATED: "lower [CALIBRATION] Batch or Calibrate_num, or evaluate on another split",
    Remedy.CALIBRATOR: "try [CALIBRATION] Calibrator=mse, or auto",
    Remedy.PRUNE_LESS: "lower it, or name the layer in [PRUNING] Keep",
    Remedy.PRUNE_MORE: "raise it, or shorten [PRUNING] Keep",
    Remedy.NO_KEYS: "leave Keys empty",
    Remedy.NAME_KEYS: "name the nodes to split at in Keys",
    Remedy.CHECKPOINT: "run once with an earlier Start, and Dump=True in the section of that stage",
    Remedy.OUTPUT_DIR: "name another Output_dir; by default it is Model_dir",
    Remedy.MODEL_DIR: "name another Model_dir",
    Remedy.DUMP: "set [QUANTIZATION] Dump=True",
    Remedy.WHOLE_RUN: "leave Start, --jobs and --ray out",
    Remedy.NOTHING_RESTORED: "leave [QUANTIZATION] Restore_name out",
    Remedy.EVALUATION: "check [EVALUATION]: Dataset, Iter_num, Metric",
}


def advised(error: Exception) -> str:
    """The error's message in one line, as a configuration names things, with what to do where that is known."""
    if not isinstance(error, MRTError):
        return " ".join(str(error).split())
    return _with(" ".join(error.fact.split()), error.remedy, error.switch)


class Advice(logging.Filter):
    """Adds what to do to a warning of the library whose record has a `remedy`, and the key to one with a `switch`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let it pass, advised."""
        about = getattr(record, "remedy", None), getattr(record, "switch", None)
        record.msg, record.args = _with(record.getMessage(), *about), ()
        record.remedy = record.switch = None  # once, whatever handlers there are
        return True


def _with(message: str, remedy: Remedy | None, switch: str | None) -> str:
    if switch is not None:
        section, _, key = switch.partition(".")
        message = f"[{section.upper()}] {key.rstrip('_').capitalize()}".rstrip() + f": {message}"
    return message if remedy is None else f"{message}; {_ADVICE[remedy]}"
