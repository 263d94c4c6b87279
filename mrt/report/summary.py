"""A report for a terminal: one thing a line, at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

from mrt.report.interval import wilson
from mrt.report.report import OfEach, Report

_WIDTH = 80
_LABEL = 15
_SHOWN_NODES = 3


def summary(report: Report) -> str:
    """What the run found, for a person to read; folders are named whole, and so may be longer than the line."""
    lines = [f"{report.model}, {'seeded weights' if report.weights == 'random' else 'in integers'}"]
    for label, text in items(report):
        first, rest = f"  {label:<{_LABEL}}", " " * (_LABEL + 2)
        lines += textwrap.wrap(
            text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines) + "\n"


def items(report: Report) -> Iterator[tuple[str, str]]:
    """What there is to say of a run, as labels and texts."""
    integer = report.accuracy.get("cvm") or report.accuracy.get("quantized") or {}
    reference = report.accuracy.get("float", {})
    for name in {**reference, **integer}:
        yield name, _metric(report, name, reference.get(name), integer.get(name))
    if report.no_accuracy:
        yield "no accuracy", report.no_accuracy
    if report.agreement is not None:
        yield "agreement", report.agreement_text()
    ratios = ["exact" if ratio is None else f"{ratio:.1f} dB" for ratio in report.sqnr_outputs_db]
    if ratios:
        yield "SQNR", ", ".join(ratios)
    if report.bit_exact:
        counted = f"{report.bit_exact.samples:,} samples"
        different = report.bit_exact.mismatches
        yield "exactness", f"{different:,} of {counted} differ" if different else f"the same integers on {counted}"
    if report.certificate:
        yield "certificate", str(report.certificate["verdict"])
    if latency := _of_each(report.latency_ms, lambda value: f"{value:.3g} ms"):
        yield "latency", f"{latency} for one sample"
    if throughput := _of_each(report.throughput, lambda value: f"{value:,.0f}"):
        yield "throughput", f"{throughput} samples a second"
    size = OfEach(**{"float": report.size_bytes.float_, "cvm": report.size_bytes.cvm})
    if sizes := _of_each(size, lambda value: f"{value / 1e6:.2f} MB"):
        yield "size", sizes
    if report.peak_memory_bytes:
        yield "memory", f"{report.peak_memory_bytes / 1e9:.1f} GB at most, for all of the run"
    if report.precision and report.precision.layers:
        names = [layer.name for layer in report.precision.layers]
        more = f" and {len(names) - _SHOWN_NODES} more" if len(names) > _SHOWN_NODES else ""
        yield "more bits", f"for {', '.join(names[:_SHOWN_NODES])}{more}"
    for cost in report.costly_layers[:_SHOWN_NODES]:
        yield "costly layer", f"{cost.node} ({cost.operator}), {cost.sqnr_db:.1f} dB"
    if report.evaluated:
        yield "evaluated on", str(report.evaluated)
    if report.calibrated:
        yield "calibrated on", report.calibrated_on()
    if report.model_dir:
        yield "model", report.model_dir


def _metric(report: Report, name: str, reference: float | None, value: float | None) -> str:
    shown = ".2%" if report.percent else ".4g"
    named = (("float", reference), ("integers", value))
    text = ", ".join(f"{each:{shown}} {whose}" for whose, each in named if each is not None)
    if value is None or not (report.percent and report.samples and 0 <= value <= 1):
        return text
    interval = report.intervals.get(name) or (wilson(value, report.samples) if name.startswith("top") else None)
    if interval is None:
        return text
    low, high = interval
    return f"{text} ({low:.2%} to {high:.2%})"


def _of_each(values: OfEach, form: Callable[[float], str]) -> str | None:
    named = (("float", values.float_), ("integers", values.cvm if values.cvm is not None else values.quantized))
    return ", ".join(f"{form(value)} {name}" for name, value in named if value is not None) or None
