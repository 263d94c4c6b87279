"""log_softmax and softmin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import axis_of
from mrt.ops.base import ChannelNumbers, Operator, Rewriter
from mrt.ops.softmax import follow_along, require_plain, tempered


class LogSoftmax(Operator):
    """log(softmax(x))."""

    names = ("log_softmax",)
    summary = "x - max - log(sum(exp(x - max)))"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """As softmax."""
        require_plain(node, shapes)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay where it is taken along another axis."""
        follow_along(node, channels)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x - max - log(sum(exp(x - max))) along the axis."""
        along = {"axis": axis_of(node, "axis", len(rw.shape(node.inputs[0])), -1), "keepdims": True}
        x = tempered(node, inputs[0], rw)
        below = rw.op("broadcast_sub", [x, rw.op("max", [x], along)])
        total = rw.op("sum", [rw.op("exp", [below])], along)
        return [rw.op("broadcast_sub", [below, rw.op("log", [total])])]


class Softmin(Operator):
    """softmax(-x)."""

    names = ("softmin",)
    summary = "softmax of -x"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """As softmax."""
        require_plain(node, shapes)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Negate, softmax."""
        negated = rw.op("broadcast_mul", [inputs[0], rw.param(np.array([-1.0]))])
        return [rw.op("softmax", [negated], node.attrs)]
