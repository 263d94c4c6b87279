"""Graph transformations and the sequence that prepares a network."""

from mrt.transform.base import Pass, PassManager
from mrt.transform.clamp_first import ClampFirst
from mrt.transform.fix_shapes import FixShapes
from mrt.transform.fold_affine import FoldAffine
from mrt.transform.fold_constants import FoldConstants
from mrt.transform.fold_pad import FoldPad
from mrt.transform.functions_before_joins import FunctionsBeforeJoins
from mrt.transform.fuse_functions import FuseFunctions
from mrt.transform.rewrite_operators import RewriteOperators
from mrt.transform.separate_columns import SeparateColumns
from mrt.transform.split_deconvolution import SplitDeconvolution
from mrt.transform.validate import Validate

__all__ = [
    "PREPARE",
    "ClampFirst",
    "FixShapes",
    "FoldAffine",
    "FoldConstants",
    "FoldPad",
    "FunctionsBeforeJoins",
    "FuseFunctions",
    "Pass",
    "PassManager",
    "RewriteOperators",
    "SeparateColumns",
    "SplitDeconvolution",
    "Validate",
]

PREPARE: tuple[Pass, ...] = (
    Validate(),
    FixShapes(),
    RewriteOperators(),
    SeparateColumns(),
    FoldConstants(),
    FoldAffine(),
    FoldPad(),
    SplitDeconvolution(),
    ClampFirst(),
    FuseFunctions(),
    FunctionsBeforeJoins(),
)
"""What the prepare stage runs, in order."""
