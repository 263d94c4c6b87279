"""Adaptive average pooling, where its bins are of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import integers, refuse
from mrt.ops.base import Operator, Rewriter


class AdaptiveAveragePooling(Operator):
    """The means over a grid of bins that covers the picture."""

    names = ("_contrib_AdaptiveAvgPooling2D", "_contrib_adaptive_avg_pooling2d")
    summary = "Pooling with the bin as window; where the bins differ in size: refused"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """The grid must divide the picture."""
        height, width = shapes[node.inputs[0]][2:]
        rows, columns = _grid(node)
        if height % rows or width % columns:
            raise refuse(node, f"a grid of {rows}x{columns} does not divide the picture of {height}x{width}")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Average pooling without overlap."""
        height, width = rw.shape(node.inputs[0])[2:]
        rows, columns = _grid(node)
        if (rows, columns) == (1, 1):
            return [rw.op("mean", inputs, {"axis": (2, 3), "keepdims": True})]
        bin_ = (height // rows, width // columns)
        return [rw.op("Pooling", inputs, {"pool_type": "avg", "kernel": bin_, "stride": bin_})]


def _grid(node: Node) -> tuple[int, int]:
    """Rows and columns of the output; MXNet's default is one of each."""
    size = integers(node, "output_size", ()) or (1,)
    return size[0], size[-1]
