"""Non-maximum suppression of boxes, with the target's two operators for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import flag, integer, number, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator, Rewriter

_CORNERS = 4
_NONE_OVERLAP_SO_MUCH = 101  # per cent


class BoxNMS(Operator):
    """The rows of a joined tensor (N, M, K) that no better one overlaps, by descending score; the others are -1."""

    names = ("_contrib_box_nms", "_contrib_box_non_maximum_suppression")
    summary = "get_valid_counts, non_max_suppression; class numbers, scores and corners keep a scale each"
    selects = True
    suppresses = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Rows of a score, four corners and perhaps a class number, in any order."""
        shape, columns = shapes[node.inputs[0]], self._columns(node)
        rows = sorted(column for begin, end in columns for column in range(begin, end))
        if len(shape) != 3 or rows != list(range(shape[2])):
            raise refuse(node, f"data of shape {shape}: only (N, M, 6) and, without id_index, (N, M, 5) are supported")
        for key in ("in_format", "out_format"):
            if text(node, key, "corner") != "corner":
                raise refuse(node, f"{key}={node.attrs[key]} is not supported (corner is)")
        if integer(node, "background_id", -1) != -1:
            raise refuse(node, f"background_id={node.attrs['background_id']} is not supported (-1 is)")
        if integer(node, "topk", -1) == 0 or number(node, "overlap_thresh", 0.5) < 0:
            raise refuse(node, "topk must not be 0, nor overlap_thresh negative")

    @staticmethod
    def _columns(node: Node) -> list[tuple[int, int]]:
        """Where the class number (if any), the score and the corners begin and end."""
        id_index, score, start = (
            integer(node, key, d) for key, d in (("id_index", -1), ("score_index", 1), ("coord_start", 2))
        )
        numbers = [(id_index, id_index + 1)] if id_index >= 0 else []
        return [*numbers, (score, score + 1), (start, start + _CORNERS)]

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """mrt_box_nms of the columns; its outputs are joined again, in the order that they had."""
        columns = self._columns(node)
        parts = [rw.op("slice_axis", inputs, {"axis": 2, "begin": begin, "end": end}) for begin, end in columns]
        kept = {key: node.attrs[key] for key in ("overlap_thresh", "valid_thresh", "topk") if key in node.attrs}
        force = flag(node, "force_suppress", False)
        selected = rw.op("mrt_box_nms", parts, {**kept, "force_suppress": force}).node
        order = sorted(range(len(columns)), key=lambda index: columns[index])
        joined = [Value(selected, index) for index in order]
        return [rw.op("Concat", joined, {"dim": 2, "num_args": len(joined)})]


class SeparateBoxNMS(Operator):
    """box_nms of class numbers (N, M, 1), which may be left out, scores (N, M, 1) and corners (N, M, 4).

    They are the outputs too, and those of a row that is left out are -1.

    Rows with scores up to the threshold are left out; the others are sorted, and the first `topk` of them visited.
    """

    names = ("mrt_box_nms",)
    summary = "what box_nms is rewritten to"
    selects = True
    suppresses = True

    def quantize(self, node: Node, ctx: QuantizeContext) -> tuple[QValue, ...]:
        """The columns' integers are joined as they are: only the corners' are compared with each other.

        Raises:
            MRTError: the class numbers are computed, and not whole numbers of the network's own.
        """
        *given, scores, corners = (ctx.wide(value) for value in node.inputs)
        numbers = given[0] if given else QValue(ctx.filled(scores.tensor, 0), sympy.Integer(1))
        if numbers.scale != 1:
            raise refuse(node, "the class numbers are not whole numbers that the network's structure decides")
        threshold = number(node, "valid_thresh", 0.0) / float(scores.scale)
        limit = 2**scores.tensor.precision
        rows = ctx.emit("concatenate", [q.tensor for q in (numbers, scores, corners)], {"axis": 2})
        attrs = {"score_threshold": int(np.clip(np.floor(threshold), -limit, limit))}
        counts, valid = ctx.emit_all("get_valid_counts", [rows], attrs)
        overlap = number(node, "overlap_thresh", 0.5)
        suppress = {
            "iou_threshold": max(1, round(100 * overlap)) if overlap < 1 else _NONE_OVERLAP_SO_MUCH,
            "force_suppress": flag(node, "force_suppress", False) or not given,
            "top_k": integer(node, "topk", -1),
        }
        kept = ctx.emit("non_max_suppression", [valid, counts], suppress)
        count = kept.shape[1]

        def column(begin: int, end: int) -> QValue:
            bounds = {"begin": (0, 0, begin), "end": (2**30, count, end), "stride": (1, 1, 1)}
            scale = (numbers, scores, corners)[min(begin, 2)].scale
            return QValue(ctx.emit("strided_slice", [kept], bounds), scale)

        columns = column(0, 1), column(1, 2), column(2, 2 + _CORNERS)
        return columns if given else columns[1:]
