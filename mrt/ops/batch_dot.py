"""Products of matrices that are both the network's data, as in attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import flag, refuse
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import IntValue, QValue, Target
from mrt.ops.base import Operator, Rewriter

_SUM_BITS = 31


class BatchDot(Operator):
    """a b, or of their transposes, for each pair of matrices (B, M, K) and (B, K, N).

    The target multiplies matrices by constants only, in 8 bits. So a (B, 1, M, 1, K) is multiplied with b^T
    (B, 1, 1, N, K) entry by entry, and summed, with as many bits of each as a sum of K products leaves room for.
    """

    names = ("batch_dot",)
    summary = "broadcast_mul of all pairs of rows and columns, sum"

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Three axes."""
        if any(len(shapes[value]) != 3 for value in node.inputs):
            raise refuse(node, "only products of tensors of three axes are supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """a as rows, b as columns."""
        if rw.constant(inputs[0]) is not None or rw.constant(inputs[1]) is not None:
            raise refuse(node, "both matrices must be the network's data")
        turned, columns = flag(node, "transpose_a", False), flag(node, "transpose_b", False)
        if not turned and columns:
            return None
        a = rw.op("transpose", inputs[:1], {"axes": (0, 2, 1)}) if turned else inputs[0]
        b = inputs[1] if columns else rw.op("transpose", inputs[1:], {"axes": (0, 2, 1)})
        return [rw.op("batch_dot", [a, b], {"transpose_a": False, "transpose_b": True})]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """sum over k of a[m, k] b[n, k]."""
        inner = ctx.wide(node.inputs[0]).tensor.shape[2]
        bits = (_SUM_BITS - inner.bit_length()) // 2
        a, b = (self._at_most(ctx, value, bits) for value in node.inputs)
        rows, columns = (self._spread(ctx, q.tensor, axis) for q, axis in ((a, 2), (b, 1)))
        product: IntValue = ctx.emit("broadcast_mul", [rows, columns])
        total = ctx.emit("sum", [product], {"axis": (4,), "keepdims": False})
        return QValue(ctx.emit("squeeze", [total], {"axis": (1,)}), a.scale * b.scale)

    def _spread(self, ctx: QuantizeContext, x: IntValue, axis: int) -> IntValue:
        """With a new axis; and one more, as runtimes hold tensors of four axes as pictures, channels last, and would
        turn all the products around before they sum them."""
        return ctx.emit("expand_dims", [ctx.emit("expand_dims", [x], {"axis": axis})], {"axis": 1})

    def _at_most(self, ctx: QuantizeContext, value: Value, bits: int) -> QValue:
        q = ctx.wide(value)
        if q.tensor.bits <= bits:
            return QValue(ctx.fit(q.tensor, bits), q.scale)
        return ctx.rescale(q, Target.symmetric(ctx.annotation.statistics(value).threshold(), bits))
