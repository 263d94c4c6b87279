"""depth_to_space and space_to_depth: blocks of pixels become channels, and back."""

from __future__ import annotations

from collections.abc import Sequence

from mrt.graph import Node, Value
from mrt.graph.attrs import positive
from mrt.ops.base import Operator, Rewriter


class DepthToSpace(Operator):
    """Each group of channels becomes a block of pixels."""

    names = ("depth_to_space",)
    summary = "reshape, transpose, reshape"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """(b, b, C, H, W) becomes (C, H b, W b)."""
        _, channels, height, width = rw.shape(node.inputs[0])
        size = positive(node, "block_size")
        channels //= size * size
        split = rw.op("Reshape", inputs, {"shape": (-1, size, size, channels, height, width)})
        turned = rw.op("transpose", [split], {"axes": (0, 3, 4, 1, 5, 2)})
        return [rw.op("Reshape", [turned], {"shape": (-1, channels, height * size, width * size)})]


class SpaceToDepth(Operator):
    """Each block of pixels becomes a group of channels."""

    names = ("space_to_depth",)
    summary = "reshape, transpose, reshape"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """(C, H b, W b) becomes (b, b, C, H, W)."""
        _, channels, height, width = rw.shape(node.inputs[0])
        size = positive(node, "block_size")
        rows, columns = height // size, width // size
        split = rw.op("Reshape", inputs, {"shape": (-1, channels, rows, size, columns, size)})
        turned = rw.op("transpose", [split], {"axes": (0, 3, 5, 1, 2, 4)})
        return [rw.op("Reshape", [turned], {"shape": (-1, channels * size * size, rows, columns)})]
