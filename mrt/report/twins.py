"""Tables of reports as Markdown and CSV, with the columns of MRT's published results."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tabulate import tabulate

from mrt.report.published import COLUMNS as PUBLISHED_COLUMNS
from mrt.report.published import Published
from mrt.report.report import COLUMNS, Report
from mrt.report.row import Row

_PLACES = {"float_top1_or_map": 2, "float_top5": 2, "quantized_top1_or_map": 2, "quantized_top5": 2, "cvm_top1": 2}


def markdown(rows: Sequence[Row]) -> str:
    """A row for each network as in its own report; below it what was published, where that is given."""
    lines: list[tuple[str, ...]] = []
    for row in rows:
        lines.append((row.found.name, *row.report.table_row()[1:]))
        if row.published:
            lines.append(_published(row.published))
    text = tabulate(lines, headers=COLUMNS, tablefmt="github", disable_numparse=True)
    structural = [f"{row.found.name} {row.report.agreement:.2%}" for row in rows if _is_structural(row.report)]
    note = "Seeded weights, so no accuracy; agreement of integers with float: " + ", ".join(structural) + "\n"
    return f"{text}\n" + (f"\n{note}" if structural else "")


def comma_separated(rows: Sequence[Row]) -> str:
    """The same with a column a number, accuracies in percent, as in the published results; ours are table `mrt`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(PUBLISHED_COLUMNS)
    for row in rows:
        writer.writerow(_cells(_ours(row)))
        if row.published:
            writer.writerow(_cells(row.published))
    return buffer.getvalue()


def _is_structural(report: Report) -> bool:
    return report.weights == "random" and report.agreement is not None


def _ours(row: Row) -> Published:
    report = row.report
    unit = 100 if report.percent else 1

    def score(executor: str, name: str | None) -> float | None:
        value = report.accuracy.get(executor, {}).get(name or "")
        return None if value is None else unit * value

    return Published(
        model=row.found.name,
        table="mrt",
        iterations=report.iterations,
        float_top1_or_map=score("float", row.metric),
        float_top5=score("float", "top5"),
        quantized_top1_or_map=score("quantized", row.metric),
        quantized_top5=score("quantized", "top5"),
        float_ms=report.latency_ms.float_,
        quantized_ms=report.latency_ms.quantized,
        cvm_top1=score("cvm", row.metric),
        cvm_ms=report.latency_ms.cvm,
        samples=report.samples,
    )


def _cells(entry: Published) -> list[str]:
    def cell(name: str) -> str:
        value = getattr(entry, name)
        if isinstance(value, float):
            return f"{value:.{_PLACES[name]}f}" if name in _PLACES else f"{value:.6g}"
        return "" if value is None else str(value)

    return [cell(name) for name in PUBLISHED_COLUMNS]


def _published(entry: Published) -> tuple[str, ...]:
    def percent(name: str, value: float | None) -> str | None:
        return None if value is None else f"{name}={value:.2f}%"

    def text(*parts: str | None) -> str:
        return " ".join(part for part in parts if part) or "-"

    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:g} ms"

    return (
        f"{entry.model} (published)",
        "-" if entry.iterations is None else f"{entry.iterations:g}",
        text(percent("top1", entry.float_top1_or_map), percent("top5", entry.float_top5)),
        text(percent("top1", entry.quantized_top1_or_map), percent("top5", entry.quantized_top5)),
        f"{ms(entry.float_ms)} / {ms(entry.quantized_ms)}",
        text(percent("top1", entry.cvm_top1), None if entry.cvm_ms is None else ms(entry.cvm_ms)),
        "-" if entry.samples is None else f"{entry.samples:g}",
    )
