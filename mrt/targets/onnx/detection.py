"""get_valid_counts and non_max_suppression, by TopK with keys that no two rows share, and a Loop over the rows.

Areas of boxes are products of int64, which ONNX Runtime computes exactly.
"""

from __future__ import annotations

import numpy as np
import onnx
from cvm.ops.base import INT32_MAX
from onnx import TensorProto, helper

from mrt.errors import MRTError
from mrt.targets.onnx.writer import EXACT, Call, Made, Writer, size

_NEVER = 101  # per cent: no two boxes overlap so much
_BELOW = -(2.0**25)  # less than any score


def get_valid_counts(c: Call) -> list[Made]:
    """The number of rows with score > threshold, and these rows, moved to the front."""
    (x,) = c.inputs
    rows = _data(c)
    score = c.op("Squeeze", c.op("Gather", rows, c.index([1]), axis=2), c.index([2]))
    threshold = max(min(c.attrs.score_threshold, EXACT), -EXACT)
    valid = c.cast(c.op("Greater", score, c.number(threshold, True)), True)
    counts, moved = _front(c, rows, valid, size(x.dims[1]), size(x.dims[2]))
    return [Made(c.op("Squeeze", counts, c.index([1])), True), Made(moved, True)]


def _data(c: Call) -> str:
    x = c.inputs[0]
    if not x.fits_float or size(x.dims[1]) > EXACT // 2:
        raise MRTError("rows of more than 25 bits, or too many of them, do not fit float32")
    return c.read(x, True)


def _front(c: Call, rows: str, chosen: str, count: int, width: int) -> tuple[str, str]:
    """How many rows are chosen (1, else 0), and these in their order, then -1."""
    counts = c.op("ReduceSum", chosen, c.index([1]), keepdims=1)
    positions = c.number(np.arange(count), True)
    keys = c.op("Sub", c.op("Mul", chosen, c.number(2 * count, True)), positions)
    moved = _in_order(c, rows, keys, count, width)
    there = c.op("Unsqueeze", c.op("Less", positions, counts), c.index([2]))
    return counts, c.op("Where", there, moved, c.number(-1, True))


def _in_order(c: Call, rows: str, keys: str, count: int, width: int) -> str:
    """The rows of the largest keys, the largest first; of equal ones the earlier."""
    order = c.writer.ops("TopK", [keys, c.index([count])], 2, axis=1, largest=1, sorted=1)[1]
    order = c.columns(c.op("Unsqueeze", order, c.index([2])), [0] * width, 2)
    return c.op("GatherElements", rows, order, axis=1)


def non_max_suppression(c: Call) -> Made:
    """The rows that no better one of their class overlaps, by descending score, then -1."""
    x, valid_count = c.inputs
    a, count = c.attrs, size(x.dims[1])
    visited = count if a.top_k < 0 else min(a.top_k, count)
    rows = _data(c)
    if visited == 0 or a.max_output_size == 0:
        return Made(c.op("Sub", c.op("Mul", rows, c.number(0, True)), c.number(1, True)), True)
    positions = c.number(np.arange(count), True)
    counts = c.op("Unsqueeze", c.cast(c.read(valid_count, False), True), c.index([1]))
    is_valid = c.op("Less", positions, counts)
    score = c.op("Squeeze", c.op("Gather", rows, c.index([1]), axis=2), c.index([2]))
    keys = _keys(c, is_valid, score, count)
    ordered = _in_order(c, rows, keys, visited, 6)
    first = c.number(np.arange(visited), True)
    identity = c.op("Squeeze", c.op("Gather", ordered, c.index([0]), axis=2), c.index([2]))
    is_class = c.op("GreaterOrEqual", identity, c.number(0, True))
    eligible = c.cast(c.op("And", c.op("Less", first, counts), is_class), True)
    most = count if a.max_output_size < 0 else min(a.max_output_size, count)
    kept = _kept(c, ordered, eligible, visited, most)
    _, moved = _front(c, ordered, kept, visited, 6)
    if visited < count:
        rest = c.op("Slice", rows, c.index([visited]), c.index([count]), c.index([1]))
        rest = c.op("Sub", c.op("Mul", rest, c.number(0, True)), c.number(1, True))
        moved = c.op("Concat", moved, rest, axis=1)
    return Made(moved, True)


def _keys(c: Call, is_valid: str, score: str, count: int) -> str:
    """What is larger the higher the score and, where int32 holds that, the earlier the row; as TopK has it."""
    if (c.inputs[0].magnitude + 1) * count > INT32_MAX:
        return c.op("Where", is_valid, score, c.number(_BELOW, True))
    ranked = c.op("Mul", c.cast(score, False), c.number(count, False))
    ranked = c.op("Sub", ranked, c.number(np.arange(count), False))
    return c.op("Where", is_valid, ranked, c.number(-INT32_MAX, False))


def _kept(c: Call, rows: str, eligible: str, visited: int, most: int) -> str:
    """1 for each row that is kept, else 0: a Loop that looks at one row after the other."""
    wide = c.op("Cast", rows, to=TensorProto.INT64)
    start = c.op("Mul", eligible, c.number(0, True))
    count = c.writer.constant(np.asarray(visited, np.int64))
    go_on = c.writer.constant(np.asarray(True))
    body = _body(c, wide, eligible, visited, most)
    return c.op("Loop", count, go_on, start, body=body)


def _body(c: Call, wide: str, eligible: str, visited: int, most: int) -> onnx.GraphProto:
    """One turn: row `step` is kept unless a kept one of its class overlaps it by the threshold or more."""
    outer, part = c.writer, c.writer.part
    c.writer = writer = Writer()
    writer.part = f"{part}/row"
    step, going, kept = (f"{part}/row/{name}" for name in ("step", "going", "kept"))

    def column(source: str, number: int) -> str:
        return c.op("Squeeze", c.op("Gather", source, c.index([number]), axis=2), c.index([2]))

    at = c.op("Unsqueeze", step, c.index([0]))
    row = c.op("Gather", wide, at, axis=1)
    zero = c.index(0)
    sides, areas = [], []
    for low, high in ((2, 4), (3, 5)):
        ends = [(column(source, low), column(source, high)) for source in (wide, row)]
        areas.append([c.op("Sub", end, begin) for begin, end in ends])
        inner = c.op("Sub", c.op("Min", ends[0][1], ends[1][1]), c.op("Max", ends[0][0], ends[1][0]))
        sides.append(c.op("Max", inner, zero))
    intersection = c.op("Mul", *sides)
    both = c.op("Add", *(c.op("Mul", width, height) for width, height in zip(*areas)))
    union = c.op("Sub", both, intersection)
    threshold = min(c.attrs.iou_threshold, _NEVER)
    overlap = c.op("Mul", intersection, c.index(100))
    hits = c.op("GreaterOrEqual", overlap, c.op("Mul", union, c.index(threshold)))
    for area in (both, union):
        hits = c.op("And", hits, c.op("Greater", area, zero))
    if not c.attrs.force_suppress:
        hits = c.op("And", hits, c.op("Equal", column(wide, 0), column(row, 0)))
    hit = c.op("ReduceMax", c.op("Mul", c.cast(hits, True), kept), c.index([1]), keepdims=1)
    number = c.op("ReduceSum", kept, c.index([1]), keepdims=1)
    free = c.cast(c.op("Less", number, c.number(most, True)), True)
    here = c.cast(c.op("Equal", c.index(np.arange(visited)), step), True)
    new = c.op("Mul", c.op("Mul", here, eligible), c.op("Mul", free, c.op("Sub", c.number(1, True), hit)))
    after = c.op("Add", kept, new)
    on = c.op("Identity", going)
    c.writer = outer
    variables = [
        helper.make_tensor_value_info(step, TensorProto.INT64, []),
        helper.make_tensor_value_info(going, TensorProto.BOOL, []),
        helper.make_tensor_value_info(kept, TensorProto.FLOAT, [None, visited]),
    ]
    outputs = [
        helper.make_tensor_value_info(on, TensorProto.BOOL, []),
        helper.make_tensor_value_info(after, TensorProto.FLOAT, [None, visited]),
    ]
    return helper.make_graph(writer.nodes, f"{part}/row", variables, outputs, list(writer.constants.values()))
