"""Tensors of one number in the shape of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Value
from mrt.graph.attrs import axis_of, number, positive, refuse
from mrt.ops.base import Operator, Rewriter

FILLED = {"_zeros": 0.0, "zeros": 0.0, "_ones": 1.0, "ones": 1.0}
"""MXNet's tensors of one number in a shape of their own, which loading makes constants."""


class Filled(Operator):
    """One number in the shape of x."""

    def looked_into(self, node: Node) -> tuple[Value, ...]:
        """Nothing: the shape decides."""
        return ()


class ZerosLike(Filled):
    """0 in the shape of x."""

    names = ("zeros_like",)
    summary = "broadcast_mul by 0, exact"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * 0."""
        return [rw.op("broadcast_mul", [inputs[0], rw.param(np.zeros(1))])]


class ArangeLike(Operator):
    """start, start + step, … for each entry along an axis of x."""

    names = ("_contrib_arange_like",)
    summary = "a constant"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The numbers, for this input shape."""
        shape = rw.open_shape(node.inputs[0])
        if node.attrs.get("axis", "None") == "None" or shape[axis_of(node, "axis", len(shape))] == -1:
            raise refuse(node, "only along a given axis other than the batch axis is it supported")
        count, repeat = shape[axis_of(node, "axis", len(shape))], positive(node, "repeat", 1)
        steps = np.arange(count) // repeat
        return [rw.param(number(node, "start", 0.0) + number(node, "step", 1.0) * steps)]


class OnesLike(Filled):
    """1 in the shape of x."""

    names = ("ones_like",)
    summary = "broadcast_mul by 0, broadcast_add of 1, exact"
    elementwise = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * 0 + 1."""
        zeros = rw.op("broadcast_mul", [inputs[0], rw.param(np.zeros(1))])
        return [rw.op("broadcast_add", [zeros, rw.param(np.ones(1))])]
