"""Enlargement of pictures by whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import positive, text
from mrt.ops.base import Rewriter
from mrt.ops.planar import Planar
from mrt.ops.shape import Mover


class UpSampling(Planar, Mover):
    """Enlargement by a whole number."""

    names = ("UpSampling",)
    summary = "nearest: upsampling, of several each to the same size, then Concat or sums; bilinear: Deconvolution"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """bilinear: MXNet's deconvolution with the weights that are its second input. Several: one by one."""
        if text(node, "sample_type", "nearest") == "nearest":
            return None if len(inputs) == 1 else [self._joined(node, inputs, rw)]
        scale, channels = positive(node, "scale"), rw.shape(node.inputs[0])[1]
        attrs = {
            "kernel": (2 * scale - scale % 2,) * 2,
            "stride": (scale, scale),
            "pad": (scale // 2,) * 2,
            "num_filter": channels,
            "num_group": channels,
            "no_bias": True,
        }
        return [rw.op("Deconvolution", inputs, attrs)]

    def _joined(self, node: Node, inputs: Sequence[Value], rw: Rewriter) -> Value:
        """Each input enlarged to the height of the result, joined along the channels or added up."""
        height = rw.shape(Value(node))[2]
        enlarged = []
        for before, value in zip(node.inputs, inputs):
            scale = height // rw.shape(before)[2]
            attrs = {"scale": scale, "sample_type": "nearest", "num_args": 1}
            enlarged.append(value if scale == 1 else rw.op("UpSampling", [value], attrs))
        if text(node, "multi_input_mode", "concat") == "sum":
            return rw.op("add_n", enlarged, {"num_args": len(enlarged)})
        return rw.op("Concat", enlarged, {"dim": 1, "num_args": len(enlarged)})

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """upsampling."""
        return "upsampling", {"scale": positive(node, "scale"), "method": "NEAREST_NEIGHBOR"}
