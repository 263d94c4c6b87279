"""The one exception that reaches users."""

from __future__ import annotations

from enum import Enum, auto


class Remedy(Enum):
    """What could be done about an error; `mrt.advice` says how, in the words of the command line."""

    LEAVE_IN_FLOAT = auto()
    """Leave the operator, and what follows it, in float."""
    INPUT_SHAPE = auto()
    """Give the shape that the network takes."""
    INPUT_BITS = auto()
    """Give the input more bits."""
    MODEL_FILES = auto()
    """Name the files of the model."""
    CALIBRATE_AGAIN = auto()
    """Calibrate, or calibrate again."""
    CALIBRATION_DATA = auto()
    """Give data to calibrate on."""
    DEVIATIONS = auto()
    """Give the number of standard deviations."""
    DATA_ROOT = auto()
    """Say where the datasets are."""
    DATA_PLACE = auto()
    """Say where the user's own data is."""
    METRIC = auto()
    """Judge by something else, or count the classes from where the network does."""
    LABELS = auto()
    """Bring labels and pictures into the network's own form."""
    RESTORED_NAMES = auto()
    """Name other operators to leave in float."""


class MRTError(Exception):
    """Bad input: one line that says what is wrong and where.

    The command line adds what to do (`mrt.advice`), prints it without a traceback and exits with status 2.

    Args:
        message: what is wrong.
        remedy: what could be done about it.
    """

    def __init__(self, message: str, remedy: Remedy | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
