"""Sums and the like over axes, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mrt.frontends.onnx.builder import Builder
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, require_no_wrap
from mrt.frontends.onnx.shape import axes_of
from mrt.frontends.onnx.values import FLOAT, INT, Live, Operand

_Change = Callable[[Builder, Live], Live]


def _reduce(op: str, before: str | None = None, after: str | None = None, since: int = 18) -> Rule:
    """A reduction between functions of the entries; its axes are an input since an opset."""

    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        require_no_wrap(node)
        x = node.live(0)
        axes, keep = _axes(node, x, since), bool(node.integer("keepdims", 1))
        if axes is None:
            return [b.op("identity", [x], scalar=not x.one)]
        if before:
            x = b.op(before, [x])
        result = _reduced(b, op, x, axes, keep)
        return [b.op(after, [result], scalar=not result.one) if after else result]

    return rule


def _axes(node: OnnxNode, x: Live, since: int) -> tuple[int, ...] | None:
    """The axes to reduce; None for none."""
    given = axes_of(node, since)
    if not given:
        if node.integer("noop_with_empty_axes", 0):
            return None
        given = list(range(x.rank))
    axes = tuple(sorted({node.in_rank(axis, x.rank) for axis in given}))
    if x.batch in axes:
        raise node.refuse("reducing over the batch is not supported")
    return axes


def _reduced(b: Builder, op: str, x: Live, axes: tuple[int, ...], keep: bool) -> Live:
    if not axes:
        return b.op("identity", [x], scalar=True)
    scalar = not keep and len(axes) == x.rank
    return b.op(op, [x], {"axis": axes, "keepdims": keep}, scalar=scalar)


def _log_sum_exp(node: OnnxNode, b: Builder) -> list[Operand]:
    """max + log(sum(exp(x - max)))."""
    x = node.live(0)
    axes, keep = _axes(node, x, 18), bool(node.integer("keepdims", 1))
    if axes is None:
        return [b.op("identity", [x])]
    largest = _reduced(b, "max", x, axes, True)
    total = _reduced(b, "sum", b.op("exp", [broadcast("broadcast_sub", x, largest, b)]), axes, True)
    result = broadcast("broadcast_add", b.op("log", [total]), largest, b)
    if keep:
        return [result]
    return [b.reshape(result, lambda shape: tuple(size for axis, size in enumerate(shape) if axis not in axes))]


def _arg(op: str) -> Rule:
    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        x = node.live(0)
        axis = node.axis(x.rank, 0)
        if node.integer("select_last_index", 0):
            raise node.refuse("select_last_index is not supported")
        if axis == x.batch:
            raise node.refuse("reducing over the batch is not supported")
        keep = bool(node.integer("keepdims", 1))
        return [b.op(op, [x], {"axis": axis, "keepdims": keep}, INT, scalar=not keep and x.rank == 1)]

    return rule


def _softmax(op: str) -> Rule:
    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        """Along one axis since opset 13; before, over all axes from one on."""
        x = node.live(0)
        if not x.rank:
            raise node.refuse("softmax of a single number is not supported")
        axis = node.axis(x.rank, -1 if node.opset >= 13 else 1 if x.rank > 1 else 0)
        if x.batch is not None and (axis == x.batch or (node.opset < 13 and axis < x.batch)):
            raise node.refuse("softmax over the batch is not supported")
        if node.opset >= 13 or prod(x.one[axis + 1 :]) == 1:
            return [b.op(op, [x], {"axis": axis})]
        flat = b.reshape(x, lambda shape: (prod(shape[:axis]), prod(shape[axis:])))
        return [b.reshape_to(b.op(op, [flat], {"axis": 1}), x.one, x.two)]

    return rule


def _hardmax(node: OnnxNode, b: Builder) -> list[Operand]:
    """1 at the first largest entry."""
    import numpy as np

    from mrt.frontends.onnx.builder import known

    x = node.live(0)
    axis = node.axis(x.rank, -1)
    if node.opset < 13 and axis != x.rank - 1:
        raise node.refuse("Hardmax over several axes, as before opset 13, is not supported")
    place = b.op("argmax", [x], {"axis": axis, "keepdims": True})
    shape = tuple(x.one[axis] if i == axis else 1 for i in range(x.rank))
    return [broadcast("broadcast_equal", known(np.arange(x.one[axis]).reshape(shape)), place, b, FLOAT)]


TABLE: dict[str, Rule] = {
    "ReduceSum": _reduce("sum", since=13),
    "ReduceMean": _reduce("mean"),
    "ReduceMax": _reduce("max"),
    "ReduceMin": _reduce("min"),
    "ReduceProd": _reduce("prod"),
    "ReduceL1": _reduce("sum", before="abs"),
    "ReduceL2": _reduce("sum", before="square", after="sqrt"),
    "ReduceSumSquare": _reduce("sum", before="square"),
    "ReduceLogSum": _reduce("sum", after="log"),
    "ReduceLogSumExp": _log_sum_exp,
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "Hardmax": _hardmax,
}
