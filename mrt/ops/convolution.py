"""Convolution: integer weights per output channel, explicit treatment of the padding of offset inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import flag, pair, positive, refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.layer import finest_step, quantize_layer
from mrt.integer.limbs import ADDABLE_BITS, accumulate, constant_limbs, limbs
from mrt.integer.qvalue import IntValue, QValue
from mrt.ops.base import ChannelNumbers, Layer, Rewriter
from mrt.ops.planar import follow_filters, over_two_axes, require_axes

_UNIT = 2**16  # whole numbers, so that the sums are the same on any machine


class Convolution(Layer):
    """2-D convolution, NCHW; 1-D is rewritten to 2-D."""

    names = ("Convolution",)
    folds_channels = True
    summary = "conv2d with per-channel integer weights, then requantization"

    def groups(self, node: Node) -> int:
        """num_group."""
        return positive(node, "num_group", 1)

    def positions(self, data: Shape, out: Shape) -> int:
        """Rows times columns."""
        return int(np.prod(out[2:]))

    def patches(self, node: Node, data: Array, weight: Array, limit: int, generator: np.random.Generator) -> Array:
        """Zero padding included."""
        stride, pad, dilate = (
            pair(node, key, d) for key, d in (("stride", (1, 1)), ("pad", (0, 0)), ("dilate", (1, 1)))
        )
        groups, kernel = self.groups(node), weight.shape[2:]
        reach = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilate))
        padded = np.pad(data, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
        windows: Array = sliding_window_view(padded, reach, (2, 3))  # type: ignore[call-overload]
        windows = windows[:, :, :: stride[0], :: stride[1], :: dilate[0], :: dilate[1]]
        count, channels, height, width = windows.shape[:4]
        positions = generator.permutation(height * width)[:limit]
        taken = windows[:, :, positions // width, positions % width]
        taken = taken.reshape(count, groups, channels // groups, len(positions), -1).transpose(1, 0, 3, 2, 4)
        return np.ascontiguousarray(taken, dtype=np.float32).reshape(groups, count * len(positions), -1)

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """1 or 2 spatial axes, channels first."""
        require_axes(node, shapes, "convolution")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """A 1-D convolution becomes a 2-D one of height 1."""
        if len(rw.shape(node.inputs[0])) != 3:
            return None
        weight = rw.constant(inputs[1])
        if weight is None:
            raise refuse(node, "the weights are not constant")
        parameters = [rw.param(weight[:, :, None]), *inputs[2:]]
        return [over_two_axes(node.op, node, inputs[0], parameters, "NCHW", rw)]

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """It makes new ones."""
        follow_filters(node, channels, transposed=False)

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """qy = (m * (conv(qx, qw) + ox * sum of the valid taps) + B) >> s, see `mrt.integer.layer`."""
        weight = ctx.constant(node.inputs[1])
        if weight is None:
            raise refuse(node, "the weights are not constant")
        bias = None
        if not flag(node, "no_bias", False):
            bias = ctx.constant(node.inputs[2])
            if bias is None:
                raise refuse(node, "the bias is not constant")
        x = ctx.layer_input(node)
        moments = ctx.moments.get(node.name)
        if x.per_channel is not None:
            gains = x.per_channel.by_weight(weight, self.groups(node)).reshape(*weight.shape[:2], 1, 1)
            if moments is not None:
                divisors = np.broadcast_to(gains, weight.shape).reshape(self.groups(node), -1, weight[0].size)[:, 0]
                moments = moments.divided(divisors)
            weight = weight * gains
        target = ctx.target(node).no_finer_than(finest_step(weight, bias, x))
        wide_weight = node.name in ctx.annotation.extra.weights
        bits = ctx.annotation.weight_bits(node)
        layer = quantize_layer(weight, bias, x, target, moments, wide_weight, ctx.rounding, bits)
        attrs = {
            "channels": len(weight),
            "kernel_size": weight.shape[2:],
            "strides": pair(node, "stride", (1, 1)),
            "padding": pair(node, "pad", (0, 0)),
            "dilation": pair(node, "dilate", (1, 1)),
            "groups": self.groups(node),
            "use_bias": False,
        }
        weights = constant_limbs(ctx, layer.weight)
        accumulator = accumulate(
            ctx, limbs(ctx, x.tensor), weights, layer.dropped, lambda a, b: ctx.emit("conv2d", [a, b], attrs)
        )
        addend = layer.addend
        if x.offset or x.per_channel:
            added = self._added(node, layer.weight, x)
            table, rows, columns = border_table(node, added, x.tensor.shape, accumulator.shape)
            table = np.rint(table / (_UNIT * 2**layer.dropped)).astype(np.int64)
            if len(table[0, 0]) == 1 and len(table[0, 0, 0]) == 1:
                addend = addend + layer.multiplier * table[0, :, 0, 0]
            else:
                room = ctx.fit(accumulator, ADDABLE_BITS)
                accumulator = ctx.emit("broadcast_add", [room, _spread(ctx, table, rows, columns)])
        column = (1, -1, 1, 1)
        stored = ctx.scale_shift(
            accumulator, layer.multiplier.reshape(column), addend.reshape(column), layer.shift, target.precision
        )
        return QValue(stored, target.scale, target.offset)

    def _added(self, node: Node, weight: Array, x: QValue) -> Array:
        """What each weight adds where its tap falls inside the picture, in 1 / `_UNIT` of the accumulator's unit."""
        weight = weight.astype(np.int64)
        if x.per_channel is None:
            return weight * (x.offset * _UNIT)
        zeros = replace(x.per_channel, gains=x.per_channel.zeros).by_weight(weight, self.groups(node))
        added: Array = weight * -np.rint(zeros * _UNIT).astype(np.int64)[:, :, None, None]
        return added


def border_table(node: Node, weight: Array, data: Shape, out: Shape) -> tuple[Array, Array, Array]:
    """Sums of the weights whose taps fall inside the picture, for every kind of output position.

    Returns:
        table (1, O, R, C), the row class of each output row (OH,), the column class of each output column (OW,):
        the sum for output (o, y, x) is table[0, o, rows[y], columns[x]].
    """
    stride, pad, dilate = pair(node, "stride", (1, 1)), pair(node, "pad", (0, 0)), pair(node, "dilate", (1, 1))
    masks, classes = [], []
    for axis in range(2):
        first = np.arange(out[2 + axis])[:, None] * stride[axis] - pad[axis]
        tap = first + np.arange(weight.shape[2 + axis])[None, :] * dilate[axis]
        unique, index = np.unique((tap >= 0) & (tap < data[2 + axis]), axis=0, return_inverse=True)
        masks.append(unique.astype(np.int64))
        classes.append(index.reshape(-1))
    taps = weight.sum(axis=1)
    table = np.einsum("ohw,rh,cw->orc", taps, masks[0], masks[1])
    return table[None], classes[0], classes[1]


def _spread(ctx: QuantizeContext, table: Array, rows: Array, columns: Array) -> IntValue:
    """The table over all output positions, gathered at run time so that the model stays small."""
    result = ctx.param(table)
    for axis, index in ((2, rows), (3, columns)):
        if table.shape[axis] > 1:
            result = ctx.emit("take", [result, ctx.param(index)], {"axis": axis})
    return result
