"""The larger and the smaller of two tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Value
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter


class Maximum(Operator):
    """max(a, b)."""

    names = ("broadcast_maximum", "_maximum", "_Maximum")
    summary = "broadcast_max, both operands on the result's scale"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """One name."""
        return None if node.op == "broadcast_maximum" else [rw.op("broadcast_maximum", inputs)]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """What is below all that the result's scale can hold saturates, and is not the larger one then."""
        target = ctx.annotation.wide(Value(node))
        operands = []
        for value in node.inputs:
            constant = ctx.constant(value)
            if constant is None:
                operands.append(ctx.at(value, target).tensor)
            else:
                operands.append(
                    ctx.param(np.clip(np.rint(constant / float(target.scale)), -target.limit, target.limit))
                )
        return QValue(ctx.emit("broadcast_max", operands), target.scale)


class Minimum(Operator):
    """min(a, b)."""

    names = ("broadcast_minimum", "_minimum", "_Minimum")
    summary = "-max(-a, -b)"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Negate, maximum, negate."""
        minus = rw.param(np.array([-1.0]))
        negated = [rw.op("broadcast_mul", [value, minus]) for value in inputs]
        return [rw.op("broadcast_mul", [rw.op("broadcast_maximum", negated), minus])]
