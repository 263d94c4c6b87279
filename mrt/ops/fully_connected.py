"""FullyConnected: integer weights per output unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import flag, positive, refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.layer import finest_step, quantize_layer
from mrt.integer.limbs import accumulate, constant_limbs, limbs
from mrt.integer.qvalue import QValue
from mrt.ops.base import ChannelNumbers, Layer, NotFollowedError, Rewriter


class FullyConnected(Layer):
    """y = x w^T + b; both `flatten` modes are brought to two dimensions."""

    names = ("FullyConnected",)
    summary = "dense with per-unit integer weights, then requantization"

    def positions(self, data: Shape, out: Shape) -> int:
        """Rows of its output."""
        return int(np.prod(out[:-1]))

    def patches(self, node: Node, data: Array, weight: Array, limit: int, generator: np.random.Generator) -> Array:
        """All rows of its input."""
        return data.reshape(1, -1, data.shape[-1])

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Make the input two-dimensional and flatten=False."""
        shape = rw.shape(node.inputs[0])
        flatten = flag(node, "flatten", True)
        if len(shape) == 2 and not flatten:
            return None
        attrs = dict(node.attrs, flatten="False")
        if len(shape) == 2:
            return [rw.op("FullyConnected", inputs, attrs)]
        if flatten:
            return [rw.op("FullyConnected", [rw.op("Flatten", [inputs[0]]), *inputs[1:]], attrs)]
        rows = rw.op("Reshape", [inputs[0]], {"shape": (-1, shape[-1])})
        result = rw.op("FullyConnected", [rows, *inputs[1:]], attrs)
        return [rw.op("Reshape", [result], {"shape": rw.open_shape(Value(node))})]

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """It makes new ones, along its last axis."""
        x, shape = channels.read(node), channels.shapes[node.inputs[0]]
        if flag(node, "flatten", True):
            ins = x.whole(shape).reshape(-1)
        elif x.axis == len(shape) - 1:
            ins = x.vector
        else:
            raise NotFollowedError(f"FullyConnected {node.name} does not read them along its last axis")
        units = positive(node, "num_hidden")
        outs = channels.make(node, "num_hidden", units, len(channels.shapes[Value(node)]) - 1)
        channels.cut(node, 1, 0, outs)
        channels.cut(node, 1, 1, ins)
        if not flag(node, "no_bias", False):
            channels.cut(node, 2, 0, outs)

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """qy = (m * (qx qw^T + ox * sum of weights) + B) >> s, see `mrt.integer.layer`."""
        weight = ctx.constant(node.inputs[1])
        bias = None if flag(node, "no_bias", False) else ctx.constant(node.inputs[2])
        if weight is None or (bias is None and not flag(node, "no_bias", False)):
            raise refuse(node, "the weights or the bias are not constant")
        x = ctx.layer_input(node)
        target = ctx.target(node).no_finer_than(finest_step(weight, bias, x))
        wide_weight = node.name in ctx.annotation.extra.weights
        bits = ctx.annotation.weight_bits(node)
        layer = quantize_layer(weight, bias, x, target, ctx.moments.get(node.name), wide_weight, ctx.rounding, bits)
        attrs = {"units": len(weight), "use_bias": False}
        weights = constant_limbs(ctx, layer.weight)
        accumulator = accumulate(
            ctx, limbs(ctx, x.tensor), weights, layer.dropped, lambda a, b: ctx.emit("dense", [a, b], attrs)
        )
        offset = np.rint(x.offset * np.sum(layer.weight, axis=1, dtype=np.int64) / 2**layer.dropped).astype(np.int64)
        addend = layer.addend + layer.multiplier * offset
        stored = ctx.scale_shift(accumulator, layer.multiplier[None], addend[None], layer.shift, target.precision)
        return QValue(stored, target.scale, target.offset)
