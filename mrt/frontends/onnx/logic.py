"""Comparisons, truth values and choices; a truth value is 1 or 0."""

from __future__ import annotations

import numpy as np

from mrt.frontends.onnx.builder import Builder
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, of_rank
from mrt.frontends.onnx.values import BOOL, Known, Live, Operand


def _compare(op: str) -> Rule:
    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        return [broadcast(op, node.given(0), node.given(1), b, BOOL)]

    return rule


def _not(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    return [b.op("_equal_scalar", [x], {"scalar": 0.0}, BOOL, scalar=not x.one)]


def _nan(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    return [b.op("broadcast_not_equal", [x, x], kind=BOOL, scalar=not x.one)]


def _where(node: OnnxNode, b: Builder) -> list[Operand]:
    """MXNet's where has its three operands of one shape."""
    operands = [node.given(position) for position in range(3)]
    kinds = [operand.kind for operand in operands[1:] if isinstance(operand, Live)]
    rank = max(operand.rank for operand in operands if isinstance(operand, (Known, Live)))
    if not rank:
        raise node.refuse("choosing between single numbers is not supported")
    aligned = [of_rank(operand, rank, b) for operand in operands]
    shapes = [operand.one.shape if isinstance(operand, Known) else operand.one for operand in aligned]  # type: ignore[union-attr]
    try:
        common = np.broadcast_shapes(*shapes)
    except ValueError:
        raise node.refuse(f"its shapes {shapes} do not fit together") from None
    full = [_spread(operand, common, aligned, b) for operand in aligned]
    return [b.op("where", full, kind=kinds[0] if kinds else None)]


def _spread(operand: Operand, common: tuple[int, ...], others: list[Operand], b: Builder) -> Live:
    """The operand with the common shape; along the batch by a sum with zeros."""
    live = b.live(operand)
    batches = {other.batch for other in others if isinstance(other, Live)} - {None}
    for axis, size in enumerate(common):
        if axis in batches and live.batch != axis:
            live = b.op("broadcast_add", [live, b.zeros(len(common), axis)])
        elif live.one[axis] != size:
            live = b.op("broadcast_axis", [live], {"axis": axis, "size": size})
    return live


TABLE: dict[str, Rule] = {
    "Equal": _compare("broadcast_equal"),
    "Greater": _compare("broadcast_greater"),
    "GreaterOrEqual": _compare("broadcast_greater_equal"),
    "Less": _compare("broadcast_lesser"),
    "LessOrEqual": _compare("broadcast_lesser_equal"),
    "And": _compare("broadcast_mul"),
    "Or": _compare("broadcast_maximum"),
    "Xor": _compare("broadcast_not_equal"),
    "Not": _not,
    "IsNaN": _nan,
    "Where": _where,
}
