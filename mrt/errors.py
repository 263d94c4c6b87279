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
    SHAPE_OF_EACH = auto()
    """Give each input its shape."""
    ANY_INPUTS = auto()
    """Take data that can give any inputs."""
    OWN_ARRAYS = auto()
    """Save the picture otherwise, or give arrays."""
    DEVICE = auto()
    """Compute elsewhere, or install what sees the GPU."""
    FEWER_CALIBRATED = auto()
    """Leave pictures to evaluate on."""
    CALIBRATOR = auto()
    """Choose another calibrator."""
    PRUNE_LESS = auto()
    """Prune less of the layer, or keep it."""
    PRUNE_MORE = auto()
    """Ask for less, or let more be pruned."""
    NO_KEYS = auto()
    """Split nowhere."""
    NAME_KEYS = auto()
    """Say where to split."""
    CHECKPOINT = auto()
    """Make the checkpoint first."""
    OUTPUT_DIR = auto()
    """Write elsewhere."""
    MODEL_DIR = auto()
    """Write the network elsewhere."""
    DUMP = auto()
    """Let the stage of integers leave its checkpoint."""
    WHOLE_RUN = auto()
    """Evaluate in one, from the beginning."""
    NOTHING_RESTORED = auto()
    """Leave nothing in float."""
    EVALUATION = auto()
    """Say what to evaluate on, and by what."""


class MRTError(Exception):
    """Bad input: one line that says what is wrong and where.

    The command line adds what to do (`mrt.advice`), prints it without a traceback and exits with status 2.

    Args:
        message: what is wrong.
        remedy: what could be done about it.
        switch: which one is wrong, as `mrt.Recipe` has it: `section.key`, or a section. The message begins with it.
    """

    def __init__(self, message: str, remedy: Remedy | None = None, switch: str | None = None) -> None:
        super().__init__(f"{switch}: {message}" if switch else message)
        self.fact = message
        self.remedy = remedy
        self.switch = switch
