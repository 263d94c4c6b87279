"""The operators of the target, by name."""

from __future__ import annotations

from typing import Any

from cvm.errors import CVMError
from cvm.ops import (
    binary,
    conv,
    dense,
    detection,
    lookup,
    reduce,
    requantize,
    slicing,
    spatial,
    structural,
    unary,
)
from cvm.ops.base import Operator, Range, Shape

_CLASSES: tuple[type[Operator[Any]], ...] = (
    conv.Conv2D,
    dense.Dense,
    spatial.MaxPool2D,
    spatial.Upsampling,
    unary.Relu,
    unary.Abs,
    unary.Negative,
    unary.CVMPrecision,
    unary.Clip,
    requantize.CVMClip,
    requantize.CVMRightShift,
    requantize.CVMLeftShift,
    binary.ElemwiseAdd,
    binary.ElemwiseSub,
    binary.BroadcastAdd,
    binary.BroadcastSub,
    binary.BroadcastMul,
    binary.BroadcastMax,
    binary.BroadcastDiv,
    binary.BroadcastGreater,
    reduce.Sum,
    reduce.Max,
    structural.Concatenate,
    structural.Transpose,
    structural.Reshape,
    structural.Squeeze,
    structural.ExpandDims,
    structural.Flatten,
    structural.Repeat,
    structural.Tile,
    slicing.StridedSlice,
    slicing.SliceLike,
    lookup.Take,
    lookup.CVMLut,
    lookup.Where,
    detection.GetValidCounts,
    detection.NonMaxSuppression,
)
_OPERATORS: dict[str, Operator[Any]] = {kind.name: kind() for kind in _CLASSES}

__all__ = ["Operator", "Range", "Shape", "get", "names"]


def get(name: str) -> Operator[Any]:
    """The operator called `name`; `CVMError` where the target has none."""
    try:
        return _OPERATORS[name]
    except KeyError:
        raise CVMError(f"the target has no operator {name!r}") from None


def names() -> list[str]:
    """Names of all operators of the target."""
    return list(_OPERATORS)
