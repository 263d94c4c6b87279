"""Bilinear enlargement and reduction of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.graph import Array, Node, Value
from mrt.graph.attrs import flag
from mrt.ops.base import Rewriter
from mrt.ops.planar import Planar
from mrt.ops.take import taken


class BilinearResize(Planar):
    """Each pixel of the result lies between two rows and two columns of the picture."""

    names = ("_contrib_BilinearResize2D",)
    summary = "along each axis, x0 + (x1 - x0) * w with both neighbours taken by number"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Rows, then columns; what the attributes say about the size, MXNet's shape inference knows."""
        before, after = rw.shape(node.inputs[0]), rw.shape(Value(node))
        result = inputs[0]
        for axis in (2, 3):
            if before[axis] == after[axis]:
                continue
            place = _places(before[axis], after[axis], flag(node, "align_corners", True))
            lower = np.minimum(place.astype(int), before[axis] - 1)
            near = taken(rw, result, axis, lower)
            far = taken(rw, result, axis, np.minimum(lower + 1, before[axis] - 1))
            weight = (place - lower).reshape((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
            way = rw.op("broadcast_mul", [rw.op("elemwise_sub", [far, near]), rw.param(weight)])
            result = rw.op("elemwise_add", [near, way])
        return [result]


def _places(before: int, after: int, align_corners: bool) -> Array:
    """Where between the rows (or columns) of the picture those of the result lie."""
    place = np.arange(after, dtype=np.float64)
    if after == 1:
        return place
    if align_corners:
        return place * (before - 1) / (after - 1)
    centre: Array = (place + 0.5) * before / after - 0.5
    return np.maximum(centre, 0)
