"""The target's two operators on detections for MXNet, as custom operators in NumPy.

They are written for whole arrays and share nothing with the target's own executor, with which they are compared. A
checkpoint that has one opens in MXNet once this module is imported.
"""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np

from mrt.graph.ir import Array

VALID, SUPPRESS = "mrt_get_valid_counts", "mrt_non_max_suppression"
_ID, _SCORE = 0, 1


def valid_counts(rows: Array, threshold: int) -> tuple[Array, Array]:
    """How many of the rows (N, M, K) have a score above the threshold (N,), and these in front of rows of -1."""
    valid = rows[:, :, _SCORE] > threshold
    order = np.argsort(~valid, axis=1, kind="stable")
    moved = np.take_along_axis(rows, order[:, :, None], axis=1)
    counts = valid.sum(axis=1)
    return counts, np.where(np.arange(rows.shape[1])[None, :, None] < counts[:, None, None], moved, -1)


def suppressed(rows: Array, counts: Array, percent: int, force: bool, top: int) -> Array:
    """Rows (N, M, 6) of integers of at most 16 bits that are kept, by descending score, then rows of -1.

    Of the first `counts` (N,) rows, the best `top` (all where negative) are visited, those of an id below 0 left out;
    one goes where its overlap with one that is kept, of the same id unless `force`, is at least `percent`.
    """
    kept = np.full_like(rows, -1)
    for picture, count, result in zip(rows.astype(np.int64), counts.astype(np.int64), kept):
        candidates = picture[: max(count, 0)]
        candidates = candidates[np.argsort(-candidates[:, _SCORE], kind="stable")]
        candidates = candidates[: top if top >= 0 else None]
        candidates = candidates[candidates[:, _ID] >= 0]
        number = 0
        while len(candidates):
            best, rest = candidates[0], candidates[1:]
            result[number] = best
            number += 1
            goes = _overlap_reaches(best[2:], rest[:, 2:], percent)
            if not force:
                goes &= rest[:, _ID] == best[_ID]
            candidates = rest[~goes]
    return kept


def _overlap_reaches(box: Array, others: Array, percent: int) -> Array:
    """Which of the boxes (M, 4) overlap a box (4,) by a part of the union of at least `percent`."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = areas - common
    result: Array = (areas > 0) & (union > 0) & (100 * common >= percent * union)
    return result


class _ValidCounts(mx.operator.CustomOp):  # type: ignore[misc]
    def __init__(self, threshold: int) -> None:
        super().__init__()
        self._threshold = threshold

    def forward(self, is_train: bool, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        for index, array in enumerate(valid_counts(in_data[0].asnumpy(), self._threshold)):
            self.assign(out_data[index], req[index], mx.nd.array(array, dtype=out_data[index].dtype))


@mx.operator.register(VALID)
class _ValidCountsProp(mx.operator.CustomOpProp):  # type: ignore[misc]
    """Attribute: score_threshold. Others are MRT's own notes."""

    def __init__(self, score_threshold: str, **notes: str) -> None:
        super().__init__(need_top_grad=False)
        self._threshold = int(score_threshold)

    def list_outputs(self) -> list[str]:
        return ["counts", "rows"]

    def infer_shape(self, in_shape: Any) -> Any:
        return in_shape, [in_shape[0][:1], in_shape[0]], []

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> mx.operator.CustomOp:
        return _ValidCounts(self._threshold)


class _Suppress(mx.operator.CustomOp):  # type: ignore[misc]
    def __init__(self, percent: int, force: bool, top: int) -> None:
        super().__init__()
        self._settings = percent, force, top

    def forward(self, is_train: bool, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        rows, counts = (array.asnumpy() for array in in_data)
        self.assign(out_data[0], req[0], mx.nd.array(suppressed(rows, counts, *self._settings), dtype=rows.dtype))


@mx.operator.register(SUPPRESS)
class _SuppressProp(mx.operator.CustomOpProp):  # type: ignore[misc]
    """Attributes: iou_threshold in per cent, force_suppress, top_k. Others are MRT's own notes."""

    def __init__(self, iou_threshold: str, force_suppress: str, top_k: str, **notes: str) -> None:
        super().__init__(need_top_grad=False)
        self._settings = int(iou_threshold), force_suppress == "True", int(top_k)

    def list_arguments(self) -> list[str]:
        return ["rows", "counts"]

    def infer_shape(self, in_shape: Any) -> Any:
        return [in_shape[0], in_shape[0][:1]], [in_shape[0]], []

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> mx.operator.CustomOp:
        return _Suppress(*self._settings)
