"""The cells of a network's row of the page's table."""

from __future__ import annotations

from dataclasses import dataclass

from mrt.report.row import Row

_OURS = (
    "network", "data", "samples", "float", "integers", "points lost", "agreement", "SQNR, dB", "float ms", "integer ms",
    "times faster", "float MB", "integer MB",
)  # fmt: skip
_PUBLISHED = ("published float", "published integers", "published loss")


@dataclass(frozen=True)
class Cell:
    """What is shown, what it is sorted by (empty: last), and what is said below."""

    text: str
    value: str
    note: str = ""


def titles(published: bool) -> tuple[str, ...]:
    """Of the columns."""
    return (*_OURS, *(_PUBLISHED if published else ()))


def cells(row: Row, published: bool) -> list[Cell]:
    """One for each title."""
    report, size = row.report, row.report.size_bytes
    float_ms, integer_ms = report.latency_ms.float_, row.integer_ms
    found = [
        Cell(row.found.name, row.found.name),
        Cell(report.dataset or "", report.dataset or "", "seeded weights" if report.weights == "random" else ""),
        _number(report.samples or None, "{:,}"),
        _score(row, row.float_score),
        _score(row, row.integer_score),
        _lost(row),
        _number(report.agreement, "{:.2%}"),
        _number(report.sqnr_db, "{:.1f}"),
        _number(float_ms, "{:.3g}"),
        _number(integer_ms, "{:.3g}"),
        _number(float_ms / integer_ms if float_ms and integer_ms else None, "{:.1f}"),
        _number(size.float_ / 1e6 if size.float_ else None, "{:.2f}"),
        _number(size.cvm / 1e6 if size.cvm else None, "{:.2f}"),
    ]
    if published:
        known = row.published
        for name in ("float_top1_or_map", "integer", "lost"):
            found.append(_number(getattr(known, name) if known else None, "{:.2f}"))
    return found


def _number(value: float | None, form: str) -> Cell:
    return Cell("", "") if value is None else Cell(form.format(value), f"{value:.10g}")


def _score(row: Row, value: float | None) -> Cell:
    if value is None:
        return Cell("", "")
    return Cell(f"{value:.2%}" if row.report.percent else f"{value:.4g}", f"{value:.10g}", row.metric or "")


def _lost(row: Row) -> Cell:
    lost = row.lost
    if lost is None:
        return Cell("", "")
    unit = 100 if row.report.percent else 1
    note = ""
    if row.interval:
        low, high = row.interval
        note = f"{100 * low:+.2f} to {100 * high:+.2f}"
    return Cell(f"{unit * lost:+.2f}", f"{lost:.10g}", note)
