"""Activation: relu is a clamp, the others are tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter
from mrt.ops.clip import clamp

_TABLES = ("sigmoid", "tanh", "softsign", "softrelu")


class Activation(Operator):
    """relu, sigmoid, tanh, softsign, softrelu."""

    names = ("Activation",)
    summary = "relu: clamp; sigmoid, tanh, softsign, softrelu: table"
    elementwise = True
    form = Form.SAME
    passes_factors = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Only the kinds listed."""
        kind = text(node, "act_type")
        if kind not in ("relu", *_TABLES):
            raise refuse(node, f"act_type={kind} is not supported (relu, {', '.join(_TABLES)} are)")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Tables have operators of their own."""
        kind = text(node, "act_type")
        return [rw.op(kind, inputs)] if kind in _TABLES else None

    def bounds(self, node: Node) -> tuple[float, float] | None:
        """relu is a clamp at 0."""
        return (0.0, math.inf) if text(node, "act_type") == "relu" else None

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Clamp at 0."""
        return clamp(node, ctx, 0.0, math.inf)
