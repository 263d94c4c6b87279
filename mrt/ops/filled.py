"""Tensors of one number in the shape of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Value
from mrt.ops.base import Operator, Rewriter


class ZerosLike(Operator):
    """0 in the shape of x."""

    names = ("zeros_like",)
    summary = "broadcast_mul by 0, exact"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * 0."""
        return [rw.op("broadcast_mul", [inputs[0], rw.param(np.zeros(1))])]


class OnesLike(Operator):
    """1 in the shape of x."""

    names = ("ones_like",)
    summary = "broadcast_mul by 0, broadcast_add of 1, exact"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * 0 + 1."""
        zeros = rw.op("broadcast_mul", [inputs[0], rw.param(np.zeros(1))])
        return [rw.op("broadcast_add", [zeros, rw.param(np.ones(1))])]
