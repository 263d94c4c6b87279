"""The rules of all families."""

from __future__ import annotations

from mrt.frontends.onnx import (
    activation,
    arithmetic,
    convolution,
    logic,
    matmul,
    normalization,
    pad,
    pooling,
    quantized,
    recurrent,
    reduction,
    resize,
    shape,
    slicing,
)
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule

_FAMILIES = (
    activation.TABLE,
    arithmetic.TABLE,
    convolution.TABLE,
    logic.TABLE,
    matmul.TABLE,
    normalization.TABLE,
    pad.TABLE,
    pooling.TABLE,
    quantized.TABLE,
    recurrent.TABLE,
    reduction.TABLE,
    resize.TABLE,
    shape.TABLE,
    slicing.TABLE,
)
RULES: dict[tuple[str, str], Rule] = {("", name): rule for family in _FAMILIES for name, rule in family.items()}
"""By domain and name of the operator."""
RULES[("com.microsoft", "Gelu")] = activation.TABLE["Gelu"]

MOVING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Identity", "Slice", "Gather", "Split")
"""Operators that quantized integers pass unchanged."""


def passes_quantized(node: OnnxNode) -> bool:
    """Whether an operator takes quantized integers."""
    return node.op in MOVING or node.op in quantized.TABLE
