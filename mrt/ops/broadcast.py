"""Operators that repeat a tensor to a shape, which the input's shape settles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import refuse
from mrt.ops.base import Operator, Rewriter


class BroadcastTo(Operator):
    """x repeated along its axes of size 1."""

    names = ("broadcast_axis", "broadcast_axes", "broadcast_to")
    summary = "tile"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """tile."""
        return [_tiled(node, inputs[0], rw.shape(Value(node)), rw)]


class BroadcastLike(Operator):
    """x repeated to the shape of another tensor."""

    names = ("broadcast_like",)
    summary = "tile; of a constant, an addition to zeros"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """tile; a constant is added to zeros of the other's shape, whose batch is not known yet."""
        if rw.constant(inputs[0]) is None:
            return [_tiled(node, inputs[0], rw.shape(Value(node)), rw)]
        if node.attrs.get("lhs_axes", "None") not in ("None", "()"):
            raise refuse(node, "lhs_axes of a constant are not supported")
        zeros = rw.op("broadcast_mul", [inputs[1], rw.param(np.zeros(1))])
        return [rw.op("broadcast_add", [zeros, inputs[0]])]


class ReshapeLike(Operator):
    """x in the shape of another tensor."""

    names = ("reshape_like",)
    summary = "reshape"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Reshape, with the batch axis open."""
        return [rw.op("Reshape", [inputs[0]], {"shape": rw.open_shape(Value(node))})]


def _tiled(node: Node, value: Value, shape: Shape, rw: Rewriter) -> Value:
    """The value repeated to the shape."""
    before = rw.shape(node.inputs[0])
    if len(before) != len(shape):
        raise refuse(node, f"a tensor of {len(before)} axes for one of {len(shape)} is not supported")
    return rw.op("tile", [value], {"reps": tuple(after // size for after, size in zip(shape, before))})
