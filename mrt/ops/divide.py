"""Division: by a constant it is a multiplication."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Value
from mrt.graph.attrs import refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter

_DIVIDEND_BITS = 32


class Divide(Operator):
    """a / b."""

    names = ("broadcast_div", "elemwise_div", "_div", "_Div")
    summary = "by a constant: multiplication by the reciprocal; by a tensor: broadcast_div of a 2^15 and b"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """By a constant, or of one: multiply by the reciprocal."""
        divisor = rw.constant(inputs[1])
        if divisor is None:
            if rw.constant(inputs[0]) is not None:
                return [rw.op("broadcast_mul", [rw.op("reciprocal", [inputs[1]]), inputs[0]])]
            return None if node.op == "broadcast_div" else [rw.op("broadcast_div", inputs)]
        if not np.all(divisor):
            raise refuse(node, "division by a constant that holds zeros")
        return [rw.op("broadcast_mul", [inputs[0], rw.param(1.0 / divisor)])]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Sa a / (Sb b) = Sa / Sb 2^-s (a 2^s / b); what may be 0 is replaced by 2 b + 1, half a step more than b."""
        a, b = (ctx.wide(value) for value in node.inputs)
        shift = _DIVIDEND_BITS - a.tensor.precision
        dividend = ctx.double(a.tensor, shift)
        divisor, scale = b.tensor, b.scale
        if divisor.range.min() <= 0 <= divisor.range.max():
            doubled = ctx.emit("broadcast_mul", [divisor, ctx.scalar(2)])
            divisor, scale = ctx.emit("broadcast_add", [doubled, ctx.scalar(1)]), scale / 2
        return QValue(ctx.emit("broadcast_div", [dividend, divisor]), a.scale / scale / 2**shift)
