"""Normalization by what the data itself has: layers, instances, groups, lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axis_of, flag, integer, number, positive, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue
from mrt.integer.unit_rows import ROW_BITS, unit_rows
from mrt.ops.base import ChannelNumbers, Operator, Rewriter, require_batch_kept
from mrt.ops.batch_norm import follow_normalized
from mrt.ops.reduce import reduced_axes


class LayerNorm(Operator):
    """gamma * (x - mean) / sqrt(variance + eps) + beta, along one axis."""

    names = ("LayerNorm",)
    summary = "differences from the mean, brought to one length row by row; gamma and beta are multiplied and added"
    learned = (1, 2)

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The mean and deviation outputs are not served."""
        if flag(node, "output_mean_var", False):
            raise refuse(node, "output_mean_var=True is not supported")
        shape = shapes[node.inputs[0]]
        require_batch_kept(node, [axis_of(node, "axis", len(shape), -1)], shape, "a mean")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Without gamma and beta; they come after it."""
        shape = rw.shape(node.inputs[0])
        axis = axis_of(node, "axis", len(shape), -1)
        gamma, beta = _parameters(node, inputs, rw)
        if (gamma == 1).all() and not beta.any():
            return None
        normal = _standardised(inputs[0], axis, shape, number(node, "eps", 1e-5), rw)
        along = tuple(-1 if i == axis else 1 for i in range(len(shape)))
        return [_affine(normal, gamma.reshape(along), beta.reshape(along), rw)]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """See `mrt.integer.unit_rows`."""
        x = _rows(node, ctx)
        axis = axis_of(node, "axis", len(x.tensor.shape), -1)
        return unit_rows(ctx, x, (axis,), number(node, "eps", 1e-5), centre=True)


class InstanceNorm(Operator):
    """gamma * (x - mean) / sqrt(variance + eps) + beta, over the picture, for each channel by itself."""

    names = ("InstanceNorm",)
    summary = "LayerNorm over the picture"
    learned = (1, 2)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Each has its parameters."""
        follow_normalized(node, channels, 1)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Each channel of a picture brought to mean 0 and variance 1, times gamma, plus beta."""
        shape = rw.shape(node.inputs[0])
        _, channels, *sizes = shape
        rows = inputs[0]
        if len(sizes) > 1:
            rows = rw.op("Reshape", [rows], {"shape": (0, 0, -1)})
        normal = _standardised(rows, 2, (1, channels, int(np.prod(sizes))), number(node, "eps", 1e-3), rw)
        if len(sizes) > 1:
            normal = rw.op("Reshape", [normal], {"shape": (-1, channels, *sizes)})
        gamma, beta = (array.reshape((1, -1) + (1,) * len(sizes)) for array in _parameters(node, inputs, rw))
        return [_affine(normal, gamma, beta, rw)]


class GroupNorm(Operator):
    """gamma * (x - mean) / sqrt(variance + eps) + beta, over the picture and a group of channels."""

    names = ("GroupNorm",)
    summary = "LayerNorm over the pictures of a group"
    learned = (1, 2)

    def check(self, node: Node) -> None:
        """MXNet divides by the number of groups."""
        positive(node, "num_groups", 1)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """gamma and beta are those of the groups, or of the channels."""
        _, channels, *sizes = rw.shape(node.inputs[0])
        groups = positive(node, "num_groups", 1)
        count = channels // groups * int(np.prod(sizes))
        rows = rw.op("Reshape", inputs[:1], {"shape": (-1, groups, count)})
        normal = _standardised(rows, 2, (1, groups, count), number(node, "eps", 1e-5), rw)
        back = rw.op("Reshape", [normal], {"shape": (-1, channels, *sizes)})
        shape = (1, channels) + (1,) * len(sizes)
        gamma, beta = (
            np.repeat(array, channels // len(array)).reshape(shape) for array in _parameters(node, inputs, rw)
        )
        return [_affine(back, gamma, beta, rw)]


class L2Normalization(Operator):
    """x / sqrt(sum of squares + eps): of a whole sample, over the channels, or over the picture."""

    names = ("L2Normalization",)
    summary = "row by row: divided by the largest entry's magnitude, squares, sum, rsqrt by table, product"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The three modes."""
        if text(node, "mode", "instance") not in ("instance", "channel", "spatial"):
            raise refuse(node, f"mode={node.attrs['mode']} is not supported")
        shape = shapes[node.inputs[0]]
        require_batch_kept(node, self._axes(node, len(shape)), shape, "a norm")

    def _axes(self, node: Node, rank: int) -> tuple[int, ...]:
        """Along which the squares are added up."""
        axes = {"instance": range(1, rank), "channel": (1,), "spatial": range(2, rank)}
        return tuple(axes[text(node, "mode", "instance")])

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """See `mrt.integer.unit_rows`."""
        x = _rows(node, ctx)
        return unit_rows(ctx, x, self._axes(node, len(x.tensor.shape)), number(node, "eps", 1e-10), centre=False)


class Norm(Operator):
    """sqrt(sum of squares), or the sum of magnitudes, over axes."""

    names = ("norm",)
    summary = "ord=2: squares, sum, sqrt by table; ord=1: abs, sum"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The batch axis stays."""
        if integer(node, "ord", 2) not in (1, 2):
            raise refuse(node, f"ord={node.attrs['ord']} is not supported (1 and 2 are)")
        shape = shapes[node.inputs[0]]
        require_batch_kept(node, reduced_axes(node, len(shape)), shape, "a norm")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """sqrt(sum x^2), or sum |x|."""
        axes = reduced_axes(node, len(rw.shape(node.inputs[0])))
        along = {"axis": axes, "keepdims": flag(node, "keepdims", False)}
        if integer(node, "ord", 2) == 1:
            return [rw.op("sum", [rw.op("abs", inputs)], along)]
        return [rw.op("sqrt", [rw.op("sum", [rw.op("square", inputs)], along)])]


class MeanAndVariance(Operator):
    """The mean and the variance over axes."""

    names = ("moments",)
    summary = "means, differences, squares"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The batch axis stays."""
        shape = shapes[node.inputs[0]]
        require_batch_kept(node, _moments_axes(node, len(shape)), shape, "the mean")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """mean = sum x / n, variance = sum (x - mean)^2 / n."""
        axes = _moments_axes(node, len(rw.shape(node.inputs[0])))
        mean, variance = _spread(inputs[0], axes, rw)
        if flag(node, "keepdims", False):
            return [mean, variance]
        return [rw.op("squeeze", [value], {"axis": axes}) for value in (mean, variance)]


def _moments_axes(node: Node, rank: int) -> tuple[int, ...]:
    attrs = {"axis": node.attrs.get("axes", "None")}
    return reduced_axes(Node(node.op, node.name, node.inputs, attrs), rank)


def _parameters(node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> tuple[Array, Array]:
    gamma, beta = rw.constant(inputs[1]), rw.constant(inputs[2])
    if gamma is None or beta is None:
        raise refuse(node, "gamma and beta must be parameters")
    return gamma, beta


def _spread(x: Value, axes: tuple[int, ...], rw: Rewriter) -> tuple[Value, Value]:
    """The mean over the axes, and the variance."""
    along = {"axis": axes, "keepdims": True}
    mean = rw.op("mean", [x], along)
    difference = rw.op("broadcast_sub", [x, mean])
    return mean, rw.op("mean", [rw.op("square", [difference])], along)


def _standardised(x: Value, axis: int, shape: Shape, eps: float, rw: Rewriter) -> Value:
    """(x - mean) / sqrt(variance + eps) along an axis of a tensor of this shape."""
    ones, zeros = rw.param(np.ones(shape[axis])), rw.param(np.zeros(shape[axis]))
    return rw.op("LayerNorm", [x, ones, zeros], {"axis": axis, "eps": eps})


def _rows(node: Node, ctx: QuantizeContext) -> QValue:
    """The first input, in no more bits than `unit_rows` takes."""
    q = ctx.get(node.inputs[0])
    return q if q.tensor.precision <= ROW_BITS else ctx.wide(node.inputs[0])


def _affine(x: Value, gamma: Array, beta: Array, rw: Rewriter) -> Value:
    return rw.op("broadcast_add", [rw.op("broadcast_mul", [x, rw.param(gamma)]), rw.param(beta)])
