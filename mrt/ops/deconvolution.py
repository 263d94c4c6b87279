"""Deconvolution (transposed convolution); `mrt.transform.split_deconvolution` makes convolutions of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import integers, positive, refuse
from mrt.ops.base import ChannelNumbers, Layer, Rewriter
from mrt.ops.planar import follow_filters, over_two_axes, require_axes


class Deconvolution(Layer):
    """2-D transposed convolution, NCHW; 1-D is rewritten to 2-D."""

    names = ("Deconvolution",)
    summary = "a convolution for each place within a stride, interleaved by reshape and transpose"

    def groups(self, node: Node) -> int:
        """num_group."""
        return positive(node, "num_group", 1)

    def outputs(self, node: Node, weight: Array) -> int:
        """The weights are (I, O / groups, …)."""
        return weight.shape[1] * self.groups(node)

    def positions(self, data: Shape, out: Shape) -> int:
        """Rows times columns of what it reads: each of these is multiplied with every weight."""
        return int(np.prod(data[2:]))

    def scaled(self, node: Node, weight: Array, factor: Array) -> Array:
        """The weights are (I, O / groups, …)."""
        groups = self.groups(node)
        factors = np.repeat(factor.reshape(groups, -1), len(weight) // groups, axis=0)
        scaled: Array = weight * factors.reshape(factors.shape + (1,) * (weight.ndim - 2))
        return scaled

    def filters(self, node: Node, weight: Array) -> Array:
        """The weights are (I, O / groups, …)."""
        parts = weight.reshape(self.groups(node), -1, *weight.shape[1:])
        return np.moveaxis(parts, 2, 1).reshape(self.outputs(node, weight), -1)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """It makes new ones."""
        follow_filters(node, channels, transposed=True)

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """1 or 2 spatial axes, channels first."""
        require_axes(node, shapes, "deconvolution")
        if any(integers(node, "target_shape", ())):
            raise refuse(
                node, "target_shape, which MXNet itself cannot run on a CPU, is not supported (pad and adj are)"
            )

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Two spatial axes, and an explicit `no_bias`."""
        constants = [rw.constant(value) for value in inputs[1:]]
        weight = constants[0]
        if weight is None or any(array is None for array in constants):
            raise refuse(node, "the weights or the bias are not constant")
        if len(rw.shape(node.inputs[0])) == 3:
            parameters = [rw.param(weight[:, :, None]), *inputs[2:]]
            return [over_two_axes(node.op, node, inputs[0], parameters, "NCHW", rw)]
        if "no_bias" in node.attrs:
            return None
        return [rw.op(node.op, inputs, {**node.attrs, "no_bias": str(len(inputs) < 3)})]
