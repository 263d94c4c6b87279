"""Graph transformations and the sequence that prepares a network."""

from mrt.passes.base import Pass, PassManager
from mrt.passes.clamp_first import ClampFirst
from mrt.passes.fix_shapes import FixShapes
from mrt.passes.fold_affine import FoldAffine
from mrt.passes.fold_constants import FoldConstants
from mrt.passes.fold_pad import FoldPad
from mrt.passes.fuse_functions import FuseFunctions
from mrt.passes.rewrite_operators import RewriteOperators
from mrt.passes.separate_columns import SeparateColumns
from mrt.passes.split_deconvolution import SplitDeconvolution
from mrt.passes.validate import Validate

__all__ = [
    "PREPARE",
    "ClampFirst",
    "FixShapes",
    "FoldAffine",
    "FoldConstants",
    "FoldPad",
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
)
"""What the prepare stage runs, in order."""
