"""Division: by a constant it is a multiplication."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Value
from mrt.graph.attrs import refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter
from mrt.ops.reduce import reduced_axes

_DIVIDEND_BITS = 32


class Divide(Operator):
    """a / b."""

    names = ("broadcast_div", "elemwise_div", "_div", "_Div")
    summary = "by a constant: multiplication; by its own length: L2Normalization; else broadcast_div of a 2^15 and b"
    elementwise = True
    spreading = "broadcast_div"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """By a constant, or of one: multiply by the reciprocal. By what makes rows of length 1: L2Normalization."""
        divisor = rw.constant(inputs[1])
        if divisor is None:
            if rw.constant(inputs[0]) is not None:
                return [rw.op("broadcast_mul", [rw.op("reciprocal", [inputs[1]]), inputs[0]])]
            if node.op != "broadcast_div":
                return [rw.op("broadcast_div", inputs)]
            unit = _unit_length(node, inputs[0], rw)
            return None if unit is None else [unit]
        if not np.all(divisor):
            raise refuse(node, "division by a constant that holds zeros")
        return [rw.op("broadcast_mul", [inputs[0], rw.param(1.0 / divisor)])]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Sa a / (Sb b) = Sa / Sb 2^-s (a 2^s / b).

        Where b may be 0: at least 1 step where it was never negative, else 2 b + 1, which is half a step more than b.
        """
        a, b = (ctx.wide(value) for value in node.inputs)
        shift = _DIVIDEND_BITS - a.tensor.precision
        dividend = ctx.double(a.tensor, shift)
        divisor, scale = b.tensor, b.scale
        if divisor.range.min() <= 0 <= divisor.range.max():
            if ctx.annotation.statistics(node.inputs[1]).minimum >= 0:
                divisor = ctx.emit("broadcast_max", [divisor, ctx.scalar(1)])
            else:
                doubled = ctx.emit("broadcast_mul", [divisor, ctx.scalar(2)])
                divisor, scale = ctx.emit("broadcast_add", [doubled, ctx.scalar(1)]), scale / 2
        return QValue(ctx.emit("broadcast_div", [dividend, divisor]), a.scale / scale / 2**shift)


def _unit_length(node: Node, x: Value, rw: Rewriter) -> Value | None:
    """x / sqrt(factor * sum x^2 + eps) as L2Normalization, where the division is that, else None."""
    old, divisor = node.inputs
    if divisor.node.op != "sqrt":
        return None
    value, eps, factor = divisor.node.inputs[0], 0.0, 1.0
    if value.node.op == "broadcast_add" and (added := _scalar(value.node.inputs[1], rw)) is not None:
        value, eps = value.node.inputs[0], added
    if value.node.op == "broadcast_mul" and (scale := _scalar(value.node.inputs[1], rw)) is not None:
        value, factor = value.node.inputs[0], scale
    total = value.node
    if total.op != "sum" or eps < 0 or factor <= 0:
        return None
    squares, rank = total.inputs[0].node, len(rw.shape(old))
    if squares.op != "broadcast_mul" or squares.inputs != (old, old) or len(rw.shape(value)) != rank:
        return None
    modes = {(1,): "channel", tuple(range(2, rank)): "spatial", tuple(range(1, rank)): "instance"}
    mode = modes.get(reduced_axes(total, rank))
    if mode is None:
        return None
    unit = rw.op("L2Normalization", [x], {"mode": mode, "eps": eps / factor})
    return unit if factor == 1 else rw.op("broadcast_mul", [unit, rw.param(np.array([factor**-0.5]))])


def _scalar(value: Value, rw: Rewriter) -> float | None:
    constant = rw.constant(value)
    return float(constant.reshape(())) if constant is not None and constant.size == 1 else None
