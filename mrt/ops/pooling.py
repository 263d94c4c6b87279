"""Pooling: max stays, averages become convolutions or sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import flag, pair, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import Rewriter
from mrt.ops.planar import Planar, over_two_axes


class Pooling(Planar):
    """max, avg and sum pooling over two spatial axes; over one it is rewritten to two."""

    names = ("Pooling", "Pooling_v1")
    summary = "max: max_pool2d; avg, sum: depthwise convolution; global: max or mean over the picture"
    form = Form.SAME

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Kinds, layout and conventions."""
        kind = text(node, "pool_type", "max")
        if kind not in ("max", "avg", "sum"):
            raise refuse(node, f"pool_type={kind} is not supported (max, avg, sum are)")
        if len(shapes[node.inputs[0]]) not in (3, 4):
            raise refuse(node, "only pooling over one or two spatial axes is supported")
        if text(node, "layout", "None") not in ("None", "NCHW", "NCW"):
            raise refuse(node, f"layout={node.attrs['layout']} is not supported (NCHW is)")
        convention = text(node, "pooling_convention", "valid")
        if convention not in ("valid", "full"):
            raise refuse(node, f"pooling_convention={convention} is not supported (valid and full are)")
        if flag(node, "global_pool", False) or len(shapes[node.inputs[0]]) == 3:
            return
        if (_counts(node, shapes[node.inputs[0]], False) < 1).any():
            raise refuse(node, "a window lies wholly in the padding, where it has no value")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Global pooling reduces; average pooling is a depthwise convolution with constant weights."""
        kind = text(node, "pool_type", "max")
        shape = rw.shape(node.inputs[0])
        if flag(node, "global_pool", False):
            reduce = {"max": "max", "avg": "mean", "sum": "sum"}[kind]
            return [rw.op(reduce, inputs, {"axis": tuple(range(2, len(shape))), "keepdims": True})]
        if len(shape) == 3:
            return [over_two_axes("Pooling", node, inputs[0], [], "None", rw)]
        if kind == "max":
            return None
        kernel, stride, pad, extra = _window(node, shape)
        if kernel == shape[2:] and not any(pad) and not any(extra):
            return [rw.op({"avg": "mean", "sum": "sum"}[kind], inputs, {"axis": (2, 3), "keepdims": True})]
        channels, taps = shape[1], kernel[0] * kernel[1]
        data = inputs[0]
        if any(extra):
            data = rw.op("Pad", [data], {"mode": "constant", "pad_width": (0, 0, 0, 0, 0, extra[0], 0, extra[1])})
        weight = rw.param(np.full((channels, 1, *kernel), 1.0 / taps if kind == "avg" else 1.0))
        attrs = {
            "kernel": kernel,
            "stride": stride,
            "pad": pad,
            "num_filter": channels,
            "num_group": channels,
            "no_bias": True,
        }
        result = rw.op("Convolution", [data, weight], attrs)
        if kind == "avg":
            counts = _counts(node, shape, flag(node, "count_include_pad", True))
            if (counts != taps).any():
                result = rw.op("broadcast_mul", [result, rw.param(taps / counts)])
        return [result]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """max commutes with the integer form."""
        q = ctx.like_output(node)
        kernel, stride, pad, _ = _window(node, q.tensor.shape)
        attrs = {
            "pool_size": kernel,
            "strides": stride,
            "padding": pad,
            "ceil_mode": text(node, "pooling_convention", "valid") == "full",
        }
        return QValue(ctx.emit("max_pool2d", [q.tensor], attrs), q.scale, q.offset)


Pair = tuple[int, int]


def _window(node: Node, shape: Shape) -> tuple[Pair, Pair, Pair, Pair]:
    """Kernel, stride, pad, and how far windows of the `full` convention reach beyond the padded picture."""
    kernel, stride, pad = pair(node, "kernel", (1, 1)), pair(node, "stride", (1, 1)), pair(node, "pad", (0, 0))
    full = text(node, "pooling_convention", "valid") == "full"
    extra = []
    for axis in range(2):
        span = shape[2 + axis] + 2 * pad[axis] - kernel[axis]
        if span < 0:
            raise refuse(node, f"kernel {kernel} is larger than the padded picture {shape[2:]}")
        extra.append(-span % stride[axis] if full else 0)
    return kernel, stride, pad, (extra[0], extra[1])


def _counts(node: Node, shape: Shape, include_pad: bool) -> Array:
    """The number of taps that MXNet averages over at each output position, (1, 1, OH, OW)."""
    kernel, stride, pad, _ = _window(node, shape)
    full = text(node, "pooling_convention", "valid") == "full"
    axes = []
    for axis in range(2):
        size = shape[2 + axis]
        span = size + 2 * pad[axis] - kernel[axis]
        steps = (-(-span // stride[axis]) if full else span // stride[axis]) + 1
        start = np.arange(steps) * stride[axis] - pad[axis]
        stop = np.minimum(start + kernel[axis], size + pad[axis])
        if not include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        axes.append(np.maximum(stop - start, 0))
    return np.outer(axes[0], axes[1]).astype(np.float64)[None, None]
