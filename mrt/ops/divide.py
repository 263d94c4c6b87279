"""Division by a constant is a multiplication."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Value
from mrt.graph.attrs import refuse
from mrt.graph.ir import Shape
from mrt.ops.base import Operator, Rewriter


class Divide(Operator):
    """a / b, b constant; as an integer operator, division that truncates toward zero."""

    names = ("broadcast_div", "elemwise_div", "_div", "_Div")
    summary = "by a constant: multiplication by the reciprocal; by a tensor: refused"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Multiply by the reciprocal."""
        divisor = rw.constant(inputs[1])
        if divisor is None:
            if rw.constant(inputs[0]) is not None:
                return [rw.op("broadcast_mul", [rw.op("reciprocal", [inputs[1]]), inputs[0]])]
            raise refuse(node, "division by a tensor is not supported (by a constant it is)")
        if not np.all(divisor):
            raise refuse(node, "division by a constant that holds zeros")
        return [rw.op("broadcast_mul", [inputs[0], rw.param(1.0 / divisor)])]


class DivideTruncated(Operator):
    """trunc(a / b) of integers."""

    names = ("cvm_div",)
    summary = "integer only: division that truncates toward zero"

    def lower(self, node: Node, shapes: Sequence[Shape]) -> tuple[str, dict[str, str]]:
        """broadcast_div."""
        return "broadcast_div", {}

    def expand(self, node: Node) -> list[tuple[str, dict[str, str]]]:
        """trunc(a / b) in float64; operands below 2^31 make the quotient's truncation exact."""
        return [("broadcast_div", {}), ("trunc", {})]
