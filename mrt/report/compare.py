"""`mrt compare`: what changed between two reports, or two folders of them, and whether it may."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mrt.errors import MRTError
from mrt.report.interval import Interval, unpaired
from mrt.report.read import Found, find_reports
from mrt.report.row import Row

_HEADERS = ("network", "accuracy", "change, points", "agreement", "SQNR, dB", "ms", "times A", "MB")
_FAILED = 1
_ROUNDING = 1e-9  # of a difference of two shares, in points


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    text = "say what changed between two reports, or two folders of them; status 1 where a bound is passed"
    command = commands.add_parser(
        "compare", help=text, description=text, epilog="Example: mrt compare before after --max-drop 0.5"
    )
    command.add_argument("one", metavar="A", type=Path, help="a NAME.report.json, or a folder of them: before")
    command.add_argument("other", metavar="B", type=Path, help="likewise: after")
    command.add_argument(
        "--max-drop",
        metavar="POINTS",
        type=_number,
        help="most percentage points of accuracy in integers that B may lose; of agreement where there is no accuracy",
    )
    command.add_argument("--max-slowdown", metavar="RATIO", type=_number, help="most that B's latency may be, in A's")


@dataclass(frozen=True)
class Pair:
    """A network's two reports."""

    name: str
    one: Row
    other: Row

    def scores(self) -> tuple[float | None, float | None]:
        """Accuracy in integers of both as shares, agreement where neither has accuracy; None for another unit."""
        judged = bool(self.one.report.accuracy or self.other.report.accuracy)
        return _score(self.one, judged), _score(self.other, judged)

    def change(self) -> float | None:
        """B's score less A's."""
        a, b = self.scores()
        return None if a is None or b is None else b - a

    def interval(self) -> Interval | None:
        """The 95 % interval of the change, where it is one of shares of samples."""
        a, b = self.scores()
        counts = self.one.report.samples, self.other.report.samples
        if a is None or b is None or not all(counts) or not _of_samples(self.one):
            return None
        return unpaired(b, a, counts[1], counts[0])

    def slowdown(self) -> float | None:
        """B's latency in A's."""
        a, b = self.one.integer_ms, self.other.integer_ms
        return b / a if a and b else None

    def broken(self, max_drop: float | None, max_slowdown: float | None) -> Iterator[str]:
        """What bounds are passed, in words; what only A has cannot be said to be within one."""
        change, slowdown = self.change(), self.slowdown()
        if max_drop is not None and self.scores()[0] is not None:
            if change is None:
                yield f"{self.name}: B has no accuracy"
            elif -100 * change > max_drop + _ROUNDING:
                yield f"{self.name}: {-100 * change:.2f} points lost, {max_drop:g} allowed"
        if max_slowdown is not None and self.one.integer_ms is not None:
            if slowdown is None:
                yield f"{self.name}: B has no latency"
            elif slowdown > max_slowdown:
                yield f"{self.name}: {slowdown:.2f} times slower, {max_slowdown:g} allowed"


def execute(options: argparse.Namespace) -> int:
    """Print the changes; 1 where a bound is passed.

    Raises:
        MRTError: bad input, or the two have no network in common.
    """
    one, other = find_reports([options.one]), find_reports([options.other])
    pairs, gone, new = _paired(one, other)
    if not pairs:
        raise MRTError(f"compare: {options.one} and {options.other} have no network in common")
    print(tabulate([_line(pair) for pair in pairs], headers=_HEADERS, tablefmt="github", disable_numparse=True))
    bounded = options.max_drop is not None or options.max_slowdown is not None
    broken = [text for pair in pairs for text in pair.broken(options.max_drop, options.max_slowdown)]
    if new:
        print(f"only in B: {', '.join(new)}")
    if gone:
        print(f"only in A: {', '.join(gone)}")
        broken += [f"{name}: B has no report" for name in gone] if bounded else []
    for text in broken:
        print(f"bound passed: {text}")
    return _FAILED if broken else 0


def _paired(one: Sequence[Found], other: Sequence[Found]) -> tuple[list[Pair], list[str], list[str]]:
    """Those of the same name; two single reports are a pair whatever they are called."""
    if len(one) == len(other) == 1:
        a, b = one[0], other[0]
        name = a.name if a.name == b.name else f"{a.name} / {b.name}"
        return [Pair(name, Row(a), Row(b))], [], []
    before, after = ({found.name: Row(found) for found in each} for each in (one, other))
    pairs = [Pair(name, before[name], after[name]) for name in before if name in after]
    return pairs, [name for name in before if name not in after], [name for name in after if name not in before]


def _score(row: Row, judged: bool) -> float | None:
    score = row.integer_score if judged else row.report.agreement
    return score if score is not None and row.report.percent and math.isfinite(score) else None


def _of_samples(row: Row) -> bool:
    return not row.report.accuracy or bool(row.metric and row.metric.startswith("top"))


def _line(pair: Pair) -> tuple[str, ...]:
    one, other = pair.one.report, pair.other.report
    change, interval, slowdown = pair.change(), pair.interval(), pair.slowdown()
    text = "-" if change is None else f"{100 * change:+.2f}"
    if interval:
        text += f" ({100 * interval[0]:+.2f} to {100 * interval[1]:+.2f})"
    sizes = [size / 1e6 if size else None for size in (one.size_bytes.cvm, other.size_bytes.cvm)]
    return (
        pair.name,
        _both(pair.one.integer_score, pair.other.integer_score, ".2%" if one.percent else ".4g"),
        text,
        _both(one.agreement, other.agreement, ".2%"),
        _both(one.sqnr_db, other.sqnr_db, ".1f"),
        _both(pair.one.integer_ms, pair.other.integer_ms, ".3g"),
        "-" if slowdown is None else f"{slowdown:.2f}",
        _both(sizes[0], sizes[1], ".2f"),
    )


def _both(one: float | None, other: float | None, form: str) -> str:
    shown = ["-" if value is None else format(value, form) for value in (one, other)]
    return shown[0] if shown[0] == shown[1] else " -> ".join(shown)


def _number(text: str) -> float:
    """An argument that is a finite number of 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value
