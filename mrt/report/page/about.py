"""What the page says of one network below its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mrt.report import charts
from mrt.report.details import Example
from mrt.report.report import Report
from mrt.report.row import Row
from mrt.report.sensitivity import Sensitivity
from mrt.report.summary import items

_SHOWN = 10
_WORDS = (0, 1)


@dataclass(frozen=True)
class Panel:
    """A titled part with lines of text and a table.

    `words` are the columns that are no numbers; `names`, the one whose words may be broken anywhere.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    heads: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    words: tuple[int, ...] = (0,)
    names: int = 0
    wide: bool = False


@dataclass(frozen=True)
class Chart:
    """A titled chart."""

    title: str
    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Shown:
    """An example: pictures with what they show, and lines of text."""

    pictures: list[tuple[str, str]]
    lines: list[str]


@dataclass(frozen=True)
class About:
    """All of it; `line` is what is seen while the rest is folded."""

    line: str
    tables: list[Panel]
    charts: list[Chart]
    examples: list[Shown]


def about(row: Row) -> About:
    """What is known of a network; parts that its run did not come to are left out."""
    report = row.report
    total = sum(report.seconds.values())
    parts = [report.dataset, f"{total:.0f} s" if total else None, *([report.no_accuracy] if report.no_accuracy else [])]
    return About(
        line=", ".join(part for part in parts if part),
        tables=[*_tables(report), *(_worst(row.found.sensitivity) if row.found.sensitivity else ())],
        charts=list(_charts(report)),
        examples=[_example(example) for example in report.examples],
    )


def _tables(report: Report) -> Iterator[Panel]:
    yield Panel("Result", rows=list(items(report)), words=(0, 1), names=1)
    seconds = report.seconds
    if seconds:
        total = sum(seconds.values()) or 1.0
        rows = [(name, f"{value:.1f}", f"{value / total:.0%}") for name, value in seconds.items()]
        yield Panel("Stages", heads=("stage", "seconds", "share"), rows=rows)
    if report.fused:
        rows = [(" + ".join(f.operators), f.into, str(f.count)) for f in report.fused]
        yield Panel("What was fused", heads=("operators", "became", "times"), rows=rows, words=_WORDS)
    if report.compression:
        yield _compression(report)
    if report.precision and report.precision.layers:
        rows = [(w.name, f"{w.removes:.1%}", f"{w.costs:.1%}") for w in report.precision.layers]
        yield Panel("Layers with 16 bits", heads=("layer", "noise removed", "work added"), rows=rows)
    lowest = sorted((n for n in report.layers if n.sqnr_db is not None), key=lambda n: n.sqnr_db or 0.0)[:_SHOWN]
    if lowest:
        low = [(n.node, n.operator, f"{n.sqnr_db:.1f}") for n in lowest]
        yield Panel("Layers with the lowest SQNR", heads=("node", "operator", "dB"), rows=low, words=_WORDS)
    if report.costly_layers:
        costly = [(c.node, c.operator, f"{c.sqnr_db:.1f}", f"{c.added:.2e}") for c in report.costly_layers]
        heads = ("node", "operator", "dB", "noise added")
        yield Panel("Layers that add most noise", heads=heads, rows=costly, words=_WORDS)


def _compression(report: Report) -> Panel:
    steps, whole = report.compression, report.compression[0]

    def score(values: dict[str, float]) -> str:
        return next((f"{value:.2%}" for value in values.values()), "")

    rows = [
        (
            step.name,
            score(step.accuracy),
            f"{step.macs / 1e6:.2f} M ({step.macs / max(whole.macs, 1):.0%})",
            f"{step.parameters:,} ({step.parameters / max(whole.parameters, 1):.0%})",
            f"{step.size_bytes / 1e6:.2f}",
        )
        for step in steps
    ]
    rows.append(("in integers", score(report.accuracy.get("cvm", {})), "", "", _megabytes(report.size_bytes.cvm)))
    lines = [f"{step.name}: {step.notes}" for step in steps if step.notes]
    if report.qat:
        lines.append(report.qat.markdown().strip())
    return Panel("Compression", lines, ("step", "accuracy", "multiply-adds", "parameters", "MB"), rows, wide=True)


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.2f}"


def _worst(sensitivity: Sensitivity) -> Iterator[Panel]:
    rows = [(o.name, o.operator, f"{o.only.sqnr_db:.1f}", o.explanation) for o in sensitivity.worst()]
    heads = ("operator", "kind", "only it: SQNR", "cause")
    yield Panel("Worst operators (mrt sensitivity)", heads=heads, rows=rows, words=(0, 1, 3), wide=True)


def _charts(report: Report) -> Iterator[Chart]:
    if len(report.layers) > 1:
        yield Chart("SQNR of each layer", charts.layers(report.layers))
    if report.spreads:
        caption = "Grey: values in calibration, on a logarithmic axis. Lines: the range of the integers."
        yield Chart("Values and ranges", charts.spreads(report.spreads), caption)


def _example(example: Example) -> Shown:
    pictures = [
        (example.picture, "input"),
        (example.truth_picture, "mask"),
        (example.float_picture, "float"),
        (example.integer_picture, "integers"),
    ]
    lines = [
        f"{name}: {text}"
        for name, text in (("is", example.truth), ("float", example.float_), ("integers", example.integer))
        if text
    ]
    shown = [(_source(data), what) for data, what in pictures if data]
    return Shown([(source, f"{what}, {lines[0]}") for source, what in shown], lines)


def _source(data: str) -> str:
    kind = "jpeg" if data.startswith("/9j/") else "png"
    return f"data:image/{kind};base64,{data}"
