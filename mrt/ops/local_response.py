"""LRN: local response normalization across channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import integer, number, refuse
from mrt.ops.base import Operator, Rewriter


class LocalResponseNorm(Operator):
    """x * (knorm + alpha / nsize * sum of squares of the nsize channels around) ^ -beta (Krizhevsky et al., 2012)."""

    names = ("LRN",)
    summary = "squares, added channel by channel, a power by table, product"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """An odd window, and pictures."""
        if integer(node, "nsize") < 1 or integer(node, "nsize") % 2 == 0:
            raise refuse(node, f"nsize={node.attrs['nsize']} is not an odd number above 0")
        if len(shapes[node.inputs[0]]) != 4:
            raise refuse(node, "only pictures (N, C, H, W) are supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The window's sum is one of slices of the padded squares."""
        channels, size = rw.shape(node.inputs[0])[1], integer(node, "nsize")
        side = size // 2
        square = rw.op("square", inputs)
        if side:  # MXNet pads neither of the first two axes
            third = rw.op("expand_dims", [square], {"axis": 1})
            width = (0, 0, 0, 0, side, side, 0, 0, 0, 0)
            padded = rw.op("Pad", [third], {"mode": "constant", "pad_width": width})
            parts = [rw.op("slice_axis", [padded], {"axis": 2, "begin": i, "end": i + channels}) for i in range(size)]
            square = rw.op("squeeze", [rw.op("add_n", parts, {"num_args": size})], {"axis": 1})
        scaled = rw.op("broadcast_mul", [square, rw.param(np.array([number(node, "alpha", 1e-4) / size]))])
        base = rw.op("broadcast_add", [scaled, rw.param(np.array([number(node, "knorm", 2.0)]))])
        power = rw.op("_power_scalar", [base], {"scalar": -number(node, "beta", 0.75)})
        return [rw.op("broadcast_mul", [inputs[0], power])]
