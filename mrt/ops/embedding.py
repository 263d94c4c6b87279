"""Embedding: rows of a constant table, by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import integer, refuse, text
from mrt.ops.base import Form, Operator, Rewriter
from mrt.quantize.qvalue import QValue

if TYPE_CHECKING:
    from mrt.quantize.context import QuantizeContext


class Embedding(Operator):
    """table[number]; a number beyond the table takes the nearest row."""

    names = ("Embedding",)
    summary = "take from an integer table; the input's integers are the row numbers"
    form = Form.INDEX

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """The table is quantized to the form wanted of the output."""
        table = ctx.constant(node.inputs[1])
        if table is None:
            raise refuse(node, "the table is not constant")
        number = ctx.get(node.inputs[0])
        if number.scale != 1 or number.offset:
            raise refuse(node, "the row numbers are computed, and not the network's input")
        highest = number.tensor.range.max()
        if highest < len(table) - 1:
            raise refuse(
                node,
                f"the table has {len(table)} rows, but the input's precision ends at {highest}; raise Input_precision",
            )
        target = ctx.target(node)
        rows = np.clip(np.rint(table / float(target.scale)) - target.offset, -target.limit, target.limit)
        taken = ctx.emit("take", [ctx.param(rows), number.tensor], {"axis": 0})
        return QValue(taken, target.scale, target.offset)


class Take(Operator):
    """Rows of a table by number: Embedding with its inputs the other way round."""

    names = ("take",)
    summary = "as Embedding, along axis 0 of a constant table; an integer operator too"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Rows only, and numbers beyond the table take the nearest row."""
        if integer(node, "axis", 0) != 0 or text(node, "mode", "clip") != "clip":
            raise refuse(node, "only axis=0 and mode=clip are supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """Embedding."""
        rows, size = rw.shape(node.inputs[0])[0], rw.shape(node.inputs[0])[1:]
        if len(size) != 1:
            raise refuse(node, "only rows of a table of two axes can be taken")
        return [rw.op("Embedding", [inputs[1], inputs[0]], {"input_dim": rows, "output_dim": size[0]})]

    def lower(self, node: Node, shapes: Sequence[Shape]) -> tuple[str, dict[str, str]]:
        """take."""
        return "take", {"axis": str(integer(node, "axis", 0))}
