"""Normalization by what the data itself has: layers, instances, groups, lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import flag, integer, number, refuse, text
from mrt.ops.base import Operator, Rewriter
from mrt.ops.reduce import reduced_axes


class LayerNorm(Operator):
    """gamma * (x - mean) / sqrt(variance + eps) + beta, along one axis."""

    names = ("LayerNorm",)
    summary = "means, differences, products, rsqrt by table"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The mean and deviation outputs are not served."""
        if flag(node, "output_mean_var", False):
            raise refuse(node, "output_mean_var=True is not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """See the class."""
        rank = len(rw.shape(node.inputs[0]))
        axis = integer(node, "axis", -1) % rank
        if axis == 0:
            raise refuse(node, "a mean over the batch axis is not supported")
        shape = tuple(-1 if i == axis else 1 for i in range(rank))
        gamma, beta = _parameters(node, inputs, rw)
        normal = _standardised(inputs[0], (axis,), number(node, "eps", 1e-5), rw)
        return [_affine(normal, gamma.reshape(shape), beta.reshape(shape), rw)]


class InstanceNorm(Operator):
    """gamma * (x - mean) / sqrt(variance + eps) + beta, over the picture, for each channel by itself."""

    names = ("InstanceNorm",)
    summary = "means, differences, products, rsqrt by table"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """See the class."""
        rank = len(rw.shape(node.inputs[0]))
        shape = (1, -1) + (1,) * (rank - 2)
        gamma, beta = _parameters(node, inputs, rw)
        normal = _standardised(inputs[0], tuple(range(2, rank)), number(node, "eps", 1e-3), rw)
        return [_affine(normal, gamma.reshape(shape), beta.reshape(shape), rw)]


class GroupNorm(Operator):
    """gamma * (x - mean) / sqrt(variance + eps) + beta, over the picture and a group of channels."""

    names = ("GroupNorm",)
    summary = "means, differences, products, rsqrt by table"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """See the class; gamma and beta are those of the groups, or of the channels."""
        _, channels, *sizes = rw.shape(node.inputs[0])
        groups = integer(node, "num_groups", 1)
        rows = rw.op("Reshape", inputs[:1], {"shape": (-1, groups, channels // groups * int(np.prod(sizes)))})
        normal = _standardised(rows, (2,), number(node, "eps", 1e-5), rw)
        back = rw.op("Reshape", [normal], {"shape": (-1, channels, *sizes)})
        shape = (1, channels) + (1,) * len(sizes)
        gamma, beta = (
            np.repeat(array, channels // len(array)).reshape(shape) for array in _parameters(node, inputs, rw)
        )
        return [_affine(back, gamma, beta, rw)]


class L2Normalization(Operator):
    """x / sqrt(sum of squares + eps): of a whole sample, over the channels, or over the picture."""

    names = ("L2Normalization",)
    summary = "squares, sum, rsqrt by table, product"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The three modes."""
        if text(node, "mode", "instance") not in ("instance", "channel", "spatial"):
            raise refuse(node, f"mode={node.attrs['mode']} is not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """See the class."""
        rank = len(rw.shape(node.inputs[0]))
        axes = {"instance": range(1, rank), "channel": (1,), "spatial": range(2, rank)}
        along = {"axis": tuple(axes[text(node, "mode", "instance")]), "keepdims": True}
        total = rw.op("sum", [rw.op("square", inputs)], along)
        guarded = rw.op("broadcast_add", [total, rw.param(np.array([number(node, "eps", 1e-10)]))])
        return [rw.op("broadcast_mul", [inputs[0], rw.op("rsqrt", [guarded])])]


class Norm(Operator):
    """sqrt(sum of squares), or the sum of magnitudes, over axes."""

    names = ("norm",)
    summary = "ord=2: squares, sum, sqrt by table; ord=1: abs, sum"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The batch axis stays."""
        if integer(node, "ord", 2) not in (1, 2):
            raise refuse(node, f"ord={node.attrs['ord']} is not supported (1 and 2 are)")
        if 0 in reduced_axes(node, len(shapes[node.inputs[0]])):
            raise refuse(node, "a norm over the batch axis is not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """See the class."""
        axes = reduced_axes(node, len(rw.shape(node.inputs[0])))
        along = {"axis": axes, "keepdims": flag(node, "keepdims", False)}
        if integer(node, "ord", 2) == 1:
            return [rw.op("sum", [rw.op("abs", inputs)], along)]
        return [rw.op("sqrt", [rw.op("sum", [rw.op("square", inputs)], along)])]


class Moments(Operator):
    """The mean and the variance over axes."""

    names = ("moments",)
    summary = "means, differences, squares"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The batch axis stays."""
        if 0 in _moments_axes(node, len(shapes[node.inputs[0]])):
            raise refuse(node, "moments over the batch axis are not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """See the class."""
        axes = _moments_axes(node, len(rw.shape(node.inputs[0])))
        mean, _, variance = _spread(inputs[0], axes, rw)
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


def _spread(x: Value, axes: tuple[int, ...], rw: Rewriter) -> tuple[Value, Value, Value]:
    """The mean over the axes, what x differs from it by, and the variance."""
    along = {"axis": axes, "keepdims": True}
    mean = rw.op("mean", [x], along)
    difference = rw.op("broadcast_sub", [x, mean])
    return mean, difference, rw.op("mean", [rw.op("square", [difference])], along)


def _standardised(x: Value, axes: tuple[int, ...], eps: float, rw: Rewriter) -> Value:
    """(x - mean) / sqrt(variance + eps) over the axes."""
    _, difference, variance = _spread(x, axes, rw)
    guarded = rw.op("broadcast_add", [variance, rw.param(np.array([eps]))])
    return rw.op("broadcast_mul", [difference, rw.op("rsqrt", [guarded])])


def _affine(x: Value, gamma: Array, beta: Array, rw: Rewriter) -> Value:
    return rw.op("broadcast_add", [rw.op("broadcast_mul", [x, rw.param(gamma)]), rw.param(beta)])
