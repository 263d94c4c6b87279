"""BatchNorm at inference is a multiplication and an addition per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import axis_of, flag, number, refuse
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter


class BatchNorm(Operator):
    """gamma * (x - mean) / sqrt(var + eps) + beta, with the moving statistics."""

    names = ("BatchNorm", "BatchNorm_v1")
    summary = "multiplication and addition per channel, folded into the layer before it where there is one"
    learned = (1, 2)
    normalizes = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The mean and variance outputs are not served."""
        if flag(node, "output_mean_var", False):
            raise refuse(node, "output_mean_var=True is not supported")

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Each has its parameters."""
        follow_normalized(node, channels, axis_of(node, "axis", len(channels.shapes[node.inputs[0]]), 1))

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * scale + shift. Inference always uses the moving statistics, whatever use_global_stats says."""
        arrays = [rw.constant(value) for value in inputs[1:5]]
        if any(array is None for array in arrays):
            raise refuse(node, "gamma, beta and the moving statistics must be parameters")
        gamma, beta, mean, variance = (np.asarray(array, dtype=np.float64) for array in arrays)
        if flag(node, "fix_gamma", True):
            gamma = np.ones_like(gamma)
        scale = gamma / np.sqrt(variance + number(node, "eps", 1e-3))
        shift = beta - mean * scale
        rank = len(rw.shape(node.inputs[0]))
        axis = axis_of(node, "axis", rank, 1)
        shape = tuple(-1 if i == axis else 1 for i in range(rank))
        scaled = rw.op("broadcast_mul", [inputs[0], rw.param(scale.reshape(shape))])
        return [rw.op("broadcast_add", [scaled, rw.param(shift.reshape(shape))])]


def follow_normalized(node: Node, channels: ChannelNumbers, axis: int) -> None:
    """The `follow` rule of what has parameters for each channel along an axis."""
    x = channels.read(node)
    if x.axis != axis:
        raise NotFollowedError(f"{node.op} {node.name} does not have them on its axis")
    for position in range(1, len(node.inputs)):
        channels.cut(node, position, 0, x.vector)
    channels.set(Value(node), x)
