"""`mrt report`: reports of runs as a page, a Markdown table or a CSV file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.report.published import key, read_published
from mrt.report.read import find_reports
from mrt.report.row import Row
from mrt.report.twins import comma_separated, markdown


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    text = "make one page, or a table, of the reports that runs left"
    command = commands.add_parser(
        "report", help=text, description=text, epilog="Example: mrt report models/zoo -o report.html"
    )
    command.add_argument(
        "places", metavar="DIR", nargs="+", type=Path, help="folders with NAME.report.json, or such files"
    )
    command.add_argument("-o", "--output", metavar="FILE", type=Path, help="an HTML page that needs nothing but itself")
    command.add_argument("--markdown", metavar="FILE", type=Path, help="a Markdown table, - for standard output")
    command.add_argument("--csv", metavar="FILE", type=Path, help="a CSV file, - for standard output")
    command.add_argument(
        "--published", metavar="FILE", type=Path, help="results to put beside: a CSV file of that form"
    )


def execute(options: argparse.Namespace) -> int:
    """Read everything, then write what was asked for, each file whole or not at all.

    Raises:
        MRTError: bad input; nothing is written then.
    """
    published = read_published(options.published) if options.published else {}
    rows = [Row(found, published.get(key(found.report.model))) for found in find_reports(options.places)]
    wanted = [
        (options.output, _page),
        (options.markdown, markdown),
        (options.csv, comma_separated),
    ]
    if not any(path for path, _ in wanted):
        raise MRTError("report: nothing to write; give -o FILE.html, --markdown FILE or --csv FILE")
    for path, text in [(path, make(rows)) for path, make in wanted if path]:
        print(text, end="") if str(path) == "-" else print(atomic_write(path, text))
    return 0


def _page(rows: list[Row]) -> str:
    from mrt.report.page import page  # charts and templates take a second

    return page(rows)
