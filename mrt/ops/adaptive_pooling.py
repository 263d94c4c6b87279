"""Adaptive average pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import integers, refuse
from mrt.ops.base import Rewriter
from mrt.ops.planar import Planar


class AdaptiveAveragePooling(Planar):
    """The means over a grid of bins that covers the picture; bins that do not fit evenly overlap."""

    names = ("_contrib_AdaptiveAvgPooling2D", "_contrib_adaptive_avg_pooling2d")
    summary = "Pooling with the bin as window; where the bins differ in size: sums of slices"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """A number of rows and one of columns, above 0."""
        size = integers(node, "output_size", ())
        if len(size) > 2 or any(bins < 1 for bins in size):
            raise refuse(node, f"output_size={node.attrs['output_size']} is not one or two numbers above 0")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Average pooling without overlap, or the bins' sums axis by axis, times one over their sizes."""
        sizes = rw.shape(node.inputs[0])[2:]
        grid = _grid(node)
        if grid == (1, 1):
            return [rw.op("mean", inputs, {"axis": (2, 3), "keepdims": True})]
        if all(size % bins == 0 for size, bins in zip(sizes, grid)):
            bin_ = tuple(size // bins for size, bins in zip(sizes, grid))
            return [rw.op("Pooling", inputs, {"pool_type": "avg", "kernel": bin_, "stride": bin_})]
        result, counts = inputs[0], []
        for axis, size, bins in zip((2, 3), sizes, grid):
            begins, ends = np.arange(bins) * size // bins, -(-np.arange(1, bins + 1) * size // bins)
            parts = [
                rw.op(
                    "sum",
                    [rw.op("slice_axis", [result], {"axis": axis, "begin": begin, "end": end})],
                    {"axis": axis, "keepdims": True},
                )
                for begin, end in zip(begins, ends)
            ]
            result = rw.op("Concat", parts, {"dim": axis, "num_args": bins})
            counts.append(ends - begins)
        return [rw.op("broadcast_mul", [result, rw.param(1.0 / np.outer(*counts)[None, None])])]


def _grid(node: Node) -> tuple[int, int]:
    """Rows and columns of the output; MXNet's default is one of each."""
    size = integers(node, "output_size", ()) or (1,)
    return size[0], size[-1]
