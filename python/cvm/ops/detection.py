"""get_valid_counts and non_max_suppression: rows (id, score, x_min, y_min, x_max, y_max, ..) of detections.

Absent rows are filled with -1, so the tensors need a precision of at least 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import require
from cvm.ops.base import Array, Operator, Range, Shape

_MAX_OVERLAP = (2**63 - 1) // 100


def _filled(x: Range) -> Range:
    return x.collapsed().union(Range.of(-1, -1))


def _require_fill(precision: int) -> None:
    require(precision >= 2, "data needs a precision of at least 2 to hold the fill value -1")


@dataclass(frozen=True)
class GetValidCountsAttributes:
    """Attributes of get_valid_counts."""

    score_threshold: int = 0


class GetValidCounts(Operator[GetValidCountsAttributes]):
    """x (B, N, K) -> counts (B,), and the rows with score > threshold moved to the front (B, N, K)."""

    name = "get_valid_counts"
    attributes = GetValidCountsAttributes
    outputs = 2

    def _shape(self, a: GetValidCountsAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        require(len(x) == 3, f"data must be 3-D (batch, rows, values), got {x}")
        require(2 <= x[2] < 32, f"rows must have 2 to 31 values, got {x[2]}")
        return [(x[0],), x]

    def _precision(self, a: GetValidCountsAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        _require_fill(precisions[0])
        rows, values = shapes[0][1:]
        return [(rows * values + 1).bit_length() + 1, precisions[0]]

    def _range(self, a: GetValidCountsAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [Range.of(0, shapes[0][1]), _filled(ranges[0])]

    def _formal(self, a: GetValidCountsAttributes, inputs: list[Array]) -> list[Array]:
        x = inputs[0]
        counts, rows = np.zeros(x.shape[0], np.int32), np.full_like(x, -1)
        for batch, data in enumerate(x):
            valid = data[data[:, 1] > a.score_threshold]
            counts[batch] = len(valid)
            rows[batch, : len(valid)] = valid
        return [counts, rows]


@dataclass(frozen=True)
class NonMaxSuppressionAttributes:
    """Attributes of non_max_suppression; only these indices and flags are accepted."""

    iou_threshold: int = 50
    force_suppress: bool = False
    top_k: int = -1
    max_output_size: int = -1
    id_index: int = 0
    score_index: int = 1
    coord_start: int = 2
    return_indices: bool = False
    invalid_to_bottom: bool = True

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(self.iou_threshold > 0, "attribute iou_threshold must be positive")
        for name, value in (("id_index", 0), ("score_index", 1), ("coord_start", 2)):
            require(getattr(self, name) == value, f"attribute {name} must be {value}")
        require(not self.return_indices, "attribute return_indices must be False")
        require(self.invalid_to_bottom, "attribute invalid_to_bottom must be True")


class NonMaxSuppression(Operator[NonMaxSuppressionAttributes]):
    """Rows (B, N, 6) and valid counts (B,) -> the kept rows by descending score, then -1.

    Of the first valid_count rows (clamped to [0, N]), stably sorted by score, the first top_k (if >= 0) are visited;
    rows with id < 0 are skipped; a row goes if floor(100 * intersection / union) with a kept row of the same id (any
    id under force_suppress) reaches iou_threshold; at most max_output_size (if >= 0) are kept.
    """

    name = "non_max_suppression"
    attributes = NonMaxSuppressionAttributes
    arity = (2, 2)

    def _shape(self, a: NonMaxSuppressionAttributes, shapes: list[Shape]) -> list[Shape]:
        x, counts = shapes
        require(len(x) == 3 and x[2] == 6, f"data must be (batch, rows, 6), got {x}")
        require(counts == (x[0],), f"valid counts must be {(x[0],)}, got {counts}")
        return [x]

    def _precision(self, a: NonMaxSuppressionAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        _require_fill(precisions[0])
        return [precisions[0]]

    def _charge(self, a: NonMaxSuppressionAttributes, shapes: list[Shape]) -> int:
        return 20 * shapes[0][0]

    def _range(self, a: NonMaxSuppressionAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [_filled(ranges[0])]

    def _bound(self, a: NonMaxSuppressionAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        """Widths and heights are int32 differences of coordinates; areas are 64-bit."""
        return max(ranges[0].max() - ranges[0].min(), ranges[0].magnitude(), ranges[1].magnitude())

    def _formal(self, a: NonMaxSuppressionAttributes, inputs: list[Array]) -> list[Array]:
        data, counts = inputs
        result = np.full_like(data, -1)
        for rows, count, kept in zip(data, counts, result):
            valid = rows[: min(max(int(count), 0), len(rows))]
            order = np.argsort(-valid[:, 1].astype(np.int64), kind="stable")
            size = len(valid) if a.max_output_size < 0 else min(len(valid), a.max_output_size)
            number = 0
            for row in valid[order[: a.top_k] if a.top_k >= 0 else order].tolist():
                if number >= size:
                    break
                if row[0] >= 0 and not any(self._suppresses(a, other, row) for other in kept[:number].tolist()):
                    kept[number] = row
                    number += 1
        return [result]

    def _suppresses(self, a: NonMaxSuppressionAttributes, kept: list[int], row: list[int]) -> bool:
        return (a.force_suppress or kept[0] == row[0]) and overlap_percent(kept[2:], row[2:]) >= a.iou_threshold


def overlap_percent(a: list[int], b: list[int]) -> int:
    """floor(100 * intersection / union) of two corner boxes (x_min, y_min, x_max, y_max); 0 for an empty union.

    As in the target's 64-bit arithmetic, an intersection above (2^63 - 1) / 100 divides the union instead.
    """
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    intersection = width * height
    union = areas - intersection
    if areas <= 0 or union <= 0:
        return 0
    if intersection > _MAX_OVERLAP:
        return intersection // (union // 100)
    return 100 * intersection // union
