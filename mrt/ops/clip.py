"""clip and relu: clamps. A clamp whose bounds the stored integers cannot exceed anyway costs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import number
from mrt.graph.attrs import refuse as refusal
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter


class Clip(Operator):
    """min(max(x, a_min), a_max)."""

    names = ("clip",)
    summary = "saturation of the stored form where it can, else integer clip"
    elementwise = True
    form = Form.SAME

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """a_min must not exceed a_max."""
        if number(node, "a_min") > number(node, "a_max"):
            raise refusal(node, f"a_min={number(node, 'a_min')} is above a_max={number(node, 'a_max')}")

    def bounds(self, node: Node) -> tuple[float, float]:
        """a_min and a_max."""
        return number(node, "a_min"), number(node, "a_max")

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """Clamp the integers to the bounds, rounded to the nearest step."""
        return clamp(node, ctx, *self.bounds(node))


class ReLU(Operator):
    """max(x, 0)."""

    names = ("relu",)
    summary = "saturation of the stored form where it can, else integer relu"
    elementwise = True
    form = Form.SAME

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Activation(act_type=relu)."""
        return [rw.op("Activation", inputs, {"act_type": "relu"})]


def clamp(node: Node, ctx: QuantizeContext, lowest: float, highest: float) -> QValue:
    """The quantize rule of every clamp to real bounds."""
    q = ctx.get(node.inputs[0])

    def step(bound: float, unbounded: int) -> int:
        return unbounded if math.isinf(bound) else round(bound / float(q.scale)) - q.offset

    low = step(lowest, q.tensor.range.min())
    high = step(highest, q.tensor.range.max())
    return QValue(ctx.clamp(q.tensor, low, high), q.scale, q.offset)
