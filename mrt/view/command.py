"""`mrt inspect` and `mrt diff`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvm.table import table

from mrt.atomic import atomic_write
from mrt.view.difference import difference
from mrt.view.opening import open_view
from mrt.view.seen import INPUT_OP, View

_MODEL = "a compiled model's folder, a checkpoint such as out/net.quantize.json, or a network's own symbol file"
_HEADERS = ("node", "operator", "shape", "bits", "range", "scale", "parameters")


def add_to(commands: Any) -> None:
    """Add both commands to the parser's commands."""
    text = "show a graph: shapes and, of integers, precision, range and scale"
    inspect = commands.add_parser(
        "inspect", help=text, description=text, epilog="Example: mrt inspect out/net.quantize.json --svg net.svg"
    )
    inspect.add_argument("model", metavar="MODEL", type=Path, help=_MODEL)
    inspect.add_argument("--svg", metavar="FILE", type=Path, help="a drawing, instead of the table")
    text = "say what became of a graph's nodes between two stages: fused, rewritten, gone, new"
    diff = commands.add_parser(
        "diff", help=text, description=text, epilog="Example: mrt diff models/net-symbol.json out/net.prepare.json"
    )
    diff.add_argument("one", metavar="A", type=Path, help=_MODEL)
    diff.add_argument("other", metavar="B", type=Path, help="likewise")


def execute(options: argparse.Namespace) -> int:
    """Print or write it.

    Raises:
        MRTError: there is no such model, or it is damaged.
    """
    if options.command == "diff":
        print(difference(open_view(options.one), open_view(options.other)), end="")
        return 0
    view = open_view(options.model)
    if options.svg:
        from mrt.view.picture import svg  # takes a second

        print(atomic_write(options.svg, svg(view)))
    else:
        print(_listed(view), end="")
    return 0


def _listed(view: View) -> str:
    rows = [
        (n.name, n.op, n.size, n.precision or "", n.bounds, n.scale, f"{n.parameters:,}" if n.parameters else "")
        for n in view.nodes
    ]
    total = sum(node.parameters for node in view.nodes)
    operators = sum(node.op != INPUT_OP for node in view.nodes)
    return (
        f"{table(_HEADERS, rows)}\n\n{operators} operators, {total:,} parameters; outputs: {', '.join(view.outputs)}\n"
    )
