"""Fills in the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrt.report import charts
from mrt.report.page.about import About, about
from mrt.report.page.cells import Cell, cells, titles
from mrt.report.row import Row
from mrt.version import __version__

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class _Line:
    """A network's row of the table, and its section."""

    id: str
    name: str
    dataset: str
    weights: str
    cells: list[Cell]
    about: str
    tables: list[Any]
    charts: list[Any]
    examples: list[Any]


def page(rows: Sequence[Row]) -> str:
    """The whole page; `rows` in the order in which it shows them first."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only where a page is made

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    published = any(row.published for row in rows)
    lines = [_line(f"n{number}", row, published) for number, row in enumerate(rows)]
    text: str = environment.get_template("page.html.jinja").render(
        css=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "page.js").read_text(encoding="utf-8"),
        columns=[{"title": title} for title in titles(published)],
        rows=lines,
        filters=[
            (label, key, values)
            for label, key in (("Data", "dataset"), ("Weights", "weights"))
            if len(values := sorted({getattr(line, key) for line in lines})) > 1
        ],
        scatters=list(_scatters(rows)),
        origin=f"Made by mrt report, MRT {__version__}, from {len(rows)} reports.",
    )
    return text


def _line(identifier: str, row: Row, published: bool) -> _Line:
    report = row.report
    said: About = about(row)
    return _Line(
        id=identifier,
        name=row.found.name,
        dataset=report.dataset or "-",
        weights=report.weights,
        cells=cells(row, published),
        about=said.line,
        tables=said.tables,
        charts=said.charts,
        examples=said.examples,
    )


def _scatters(rows: Sequence[Row]) -> Iterator[dict[str, str]]:
    """One for each dataset and measure: accuracies on different pictures are not to be compared."""
    groups: dict[tuple[str, str], list[charts.Point]] = {}
    for number, row in enumerate(rows):
        report, ms = row.report, row.integer_ms
        score, measure = row.integer_score, row.metric or ""
        if not report.percent or score is None:
            score, measure = report.agreement, "agreement with float"
        if score is not None and ms:
            place = (measure, report.dataset or "-")
            groups.setdefault(place, []).append(charts.Point(row.found.name, f"n{number}", ms, 100 * score))
    for (measure, dataset), points in sorted(groups.items(), reverse=True):
        if len(points) > 1:
            caption = f"{measure} on {dataset}, {len(points)} networks; the line is the Pareto front."
            yield {"svg": charts.scatter(points, measure), "caption": caption}
