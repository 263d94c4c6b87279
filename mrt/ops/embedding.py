"""Embedding: rows of a constant table, by number."""

from __future__ import annotations

import numpy as np

from mrt.errors import MRTError, Remedy
from mrt.graph import Node
from mrt.graph.attrs import refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator


class Embedding(Operator):
    """table[number]; a number beyond the table takes the nearest row."""

    names = ("Embedding",)
    summary = "take from an integer table; the input's integers are the row numbers"
    learned = (1,)
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
            raise MRTError(
                f"node {node.name} ({node.op}): the table has {len(table)} rows, but the input's precision ends at "
                f"{highest}",
                Remedy.INPUT_BITS,
            )
        target = ctx.target(node)
        rows = np.clip(np.rint(table / float(target.scale)) - target.offset, -target.limit, target.limit)
        taken = ctx.emit("take", [ctx.param(rows), number.tensor], {"axis": 0})
        return QValue(taken, target.scale, target.offset)
