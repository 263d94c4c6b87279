"""Box regression undone: offsets from anchors to corners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import number, refuse, text
from mrt.ops.base import Operator, Rewriter


class BoxDecode(Operator):
    """Corners (N, K, 4) of offsets (N, K, 4) from anchors (1, K, 4), after Ren et al., Faster R-CNN (2015), eq. 2.

    center = offset * std * size_of_anchor + center_of_anchor,  half = exp(offset * std) * size_of_anchor / 2
    """

    names = ("_contrib_box_decode",)
    summary = "slices, products, exp by table; anchors must be constant"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Both formats of anchors."""
        if text(node, "format", "center") not in ("center", "corner"):
            raise refuse(node, f"format={node.attrs['format']} is not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Arithmetic on the halves of the last axis, then Concat."""
        anchors = rw.constant(inputs[1])
        if anchors is None:
            raise refuse(node, "the anchors are not constant")
        first, second = anchors[..., :2].astype(np.float64), anchors[..., 2:].astype(np.float64)
        size, center = (second, first)
        if text(node, "format", "center") == "corner":
            size, center = second - first, (first + second) / 2
        std = np.array([number(node, f"std{i}", 1.0) for i in range(4)])
        offsets = [rw.op("slice_axis", [inputs[0]], {"axis": -1, "begin": i, "end": i + 2}) for i in (0, 2)]
        moved = rw.op("broadcast_mul", [offsets[0], rw.param(std[:2] * size)])
        middle = rw.op("broadcast_add", [moved, rw.param(center)])
        grown = rw.op("broadcast_mul", [offsets[1], rw.param(std[2:].reshape(1, 1, 2))])
        if number(node, "clip", -1.0) > 0:
            grown = rw.op("_minimum_scalar", [grown], {"scalar": number(node, "clip")})
        half = rw.op("broadcast_mul", [rw.op("exp", [grown]), rw.param(size / 2)])
        corners = [rw.op("broadcast_sub", [middle, half]), rw.op("broadcast_add", [middle, half])]
        return [rw.op("Concat", corners, {"dim": -1, "num_args": 2})]
