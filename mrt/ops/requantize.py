"""The integer operators that MXNet lacks, with the MXNet operators that compute the same in float64."""

from __future__ import annotations

from collections.abc import Sequence

from mrt.graph import Node, Shape
from mrt.graph.attrs import integer
from mrt.ops.base import Operator


def _clip(precision: int) -> tuple[str, dict[str, str]]:
    limit = 2 ** (precision - 1) - 1
    return "clip", {"a_min": str(-limit), "a_max": str(limit)}


class RightShift(Operator):
    """clip((x + 2^(s-1)) >> s): rounds half up."""

    names = ("cvm_right_shift",)
    summary = "integer only: shift right with rounding, saturate"

    def lower(self, node: Node, shapes: Sequence[Shape]) -> tuple[str, dict[str, str]]:
        """cvm_right_shift."""
        return node.op, {key: node.attrs[key] for key in ("precision", "shift_bit")}

    def expand(self, node: Node) -> list[tuple[str, dict[str, str]]]:
        """floor(x * 2^-s + 0.5), then clip."""
        return [
            ("_mul_scalar", {"scalar": repr(2.0 ** -integer(node, "shift_bit"))}),
            ("_plus_scalar", {"scalar": "0.5"}),
            ("floor", {}),
            _clip(integer(node, "precision")),
        ]


class LeftShift(Operator):
    """clip(x << s)."""

    names = ("cvm_left_shift",)
    summary = "integer only: shift left, saturate"

    def lower(self, node: Node, shapes: Sequence[Shape]) -> tuple[str, dict[str, str]]:
        """cvm_left_shift."""
        return node.op, {key: node.attrs[key] for key in ("precision", "shift_bit")}

    def expand(self, node: Node) -> list[tuple[str, dict[str, str]]]:
        """x * 2^s, then clip."""
        scale = repr(2.0 ** integer(node, "shift_bit"))
        return [("_mul_scalar", {"scalar": scale}), _clip(integer(node, "precision"))]


class Saturate(Operator):
    """clip(x) to a precision."""

    names = ("cvm_clip",)
    summary = "integer only: saturate to a precision"

    def lower(self, node: Node, shapes: Sequence[Shape]) -> tuple[str, dict[str, str]]:
        """cvm_clip."""
        return node.op, {"precision": node.attrs["precision"]}

    def expand(self, node: Node) -> list[tuple[str, dict[str, str]]]:
        """clip."""
        return [_clip(integer(node, "precision"))]


class LookUp(Operator):
    """table[clamp(index)]; inputs are index and table."""

    names = ("cvm_lut",)
    summary = "integer only: table look-up"
    expand_order = (1, 0)

    def lower(self, node: Node, shapes: Sequence[Shape]) -> tuple[str, dict[str, str]]:
        """cvm_lut."""
        return node.op, {"in_dim": node.attrs["in_dim"]}

    def expand(self, node: Node) -> list[tuple[str, dict[str, str]]]:
        """take(table, index)."""
        return [("take", {"axis": "0", "mode": "clip"})]
