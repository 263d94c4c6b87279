"""`mrt zoo list | check | run | table`."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import Any

import rich.table
from rich.console import Console

from mrt import zoo
from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.report import Progress
from mrt.report.read import find_reports
from mrt.report.row import Row
from mrt.run.claim import claimed
from mrt.tasks import Local, Workers
from mrt.zoo.check import check, entry
from mrt.zoo.results import Results
from mrt.zoo.run import Job, run
from mrt.zoo.table import default_path, families, table

_OUTPUT = Path("models/zoo")
_FAILED = 1
_EXAMPLES = {
    "list": "mrt zoo list",
    "check": "mrt zoo check digits mnist",
    "run": "mrt zoo run digits mnist --jobs 2",
    "table": "mrt zoo table --file zoo.md",
}


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    text = "list, check and run the networks of mrt/zoo"
    zoo_parser = commands.add_parser("zoo", help=text, description=text, epilog="Example: mrt zoo run digits")
    actions = zoo_parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("list", "each network, its data, whether its weights are there, its last result"),
        ("check", "is the configuration valid, are weights and data there, can the network be prepared"),
        ("run", "run networks, leave out those that are done, and say at the end which failed"),
        ("table", "write docs/zoo.md from the results"),
    ):
        action = actions.add_parser(name, help=text, description=text, epilog=f"Example: {_EXAMPLES[name]}")
        if name != "check":
            action.add_argument("--output", type=Path, default=_OUTPUT, help="the results' folder (%(default)s)")
        if name == "table":
            action.add_argument("--file", type=Path, default=default_path(), help="what to write (docs/zoo.md)")
        else:
            action.add_argument("--models", type=Path, help="a folder in which weights are looked for first")
        if name in ("check", "run"):
            action.add_argument("names", metavar="NAME", nargs="*", help="networks of the zoo; all where none is given")
        if name == "run":
            action.add_argument(
                "--random-weights",
                action="store_true",
                help="where weights are not found, a structural run: seeded weights, agreement with float, no accuracy",
            )
            action.add_argument("--pictures", metavar="N", type=positive, help="evaluate N pictures of each dataset")
            action.add_argument("--again", action="store_true", help="run what is done already, too")
            where = action.add_mutually_exclusive_group()
            where.add_argument(
                "--jobs",
                metavar="N",
                type=positive,
                default=1,
                help="N networks at a time, as far as memory allows; their latencies are disturbed (default 1)",
            )
            where.add_argument(
                "--ray", metavar="ADDRESS", help="on a Ray cluster, which has mrt, data and weights (extra ray)"
            )


def positive(text: str) -> int:
    """An argument that is a whole number of 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def execute(options: argparse.Namespace, console: Console) -> int:
    """Run the action; return the exit status: 0, or 1 where a network failed or cannot be run.

    Raises:
        MRTError: bad input.
    """
    if options.action != "table" and options.models is not None and not options.models.is_dir():
        raise MRTError(f"--models {options.models}: no such folder")
    if console.is_terminal:
        logging.getLogger("mrt").setLevel(logging.INFO)  # bars
    action = {"list": _list, "check": _check, "run": _run, "table": _table}[options.action]
    return action(options, console)


def _list(options: argparse.Namespace, console: Console) -> int:
    results = Results(options.output)
    rows = rich.table.Table("name", "dataset", "input", "weights", "last result")
    for name in zoo.names():
        known = entry(name, options.models)
        if known.problem:
            rows.add_row(name, "", "", "", f"configuration not valid: {known.problem}")
            continue
        shape = "x".join(str(size) for size in known.input_shape if size != -1)
        rows.add_row(name, known.dataset, shape, "found" if known.weights else "not found", results.summary(name))
    _print(rows)
    return 0


def _check(options: argparse.Namespace, console: Console) -> int:
    names = zoo.select(options.names)
    rows = rich.table.Table("name", "configuration", "weights", "dataset", "prepare")
    failed: dict[str, list[str]] = {}
    with Progress(console).stage("check", total=len(names)) as step:
        for name in names:
            found = check(name, options.models)
            parts = (found.configuration, found.weights, found.dataset, found.prepare)
            rows.add_row(name, *(part or "ok" for part in parts))
            if found.missing:
                failed[name] = found.missing
            step.advance()
    _print(rows)
    if failed:
        told = "; ".join(f"{name} ({', '.join(missing)})" for name, missing in failed.items())
        print(f"{len(failed)} of {len(names)} cannot be run as they are: {told}")
        return _FAILED
    print(f"all {len(names)} can be run")
    return 0


def _run(options: argparse.Namespace, console: Console) -> int:
    names = zoo.select(options.names)
    jobs = [Job(name, options.random_weights, options.pictures, options.models) for name in names]
    results = Results(options.output)
    results.make_folder()  # before hours of work that could not be kept
    executor = Local(options.jobs) if options.ray is None else cluster(options.ray)
    with claimed(options.output, "zoo"):
        tell = partial(print, flush=True)
        failed = run(jobs, results, executor, tell, Progress(console), options.again)
    shown = _report(options.output)
    print(f"results: {options.output}{f', {shown}' if shown else ''}")
    print(f"{len(failed)} of {len(names)} failed: {', '.join(failed)}" if failed else f"all {len(names)} passed")
    return _FAILED if failed else 0


def _table(options: argparse.Namespace, console: Console) -> int:
    results = Results(options.output)
    names = zoo.names()
    if not any(results.report(name) for name in names):
        raise MRTError(f"zoo table: no results in {options.output}; make them with mrt zoo run, or name their --output")
    print(atomic_write(options.file, table(names, results) + families(options.file)))
    return 0


def _report(folder: Path) -> Path | None:
    """The page of all results that are kept; None where there are none."""
    if not any(folder.glob("*.report.json")):
        return None
    from mrt.report.page import page  # charts and templates take a second

    return atomic_write(folder / "report.html", page([Row(found) for found in find_reports([folder])]))


def cluster(address: str) -> Workers:
    """The cluster that --ray names."""
    from mrt.tasks.cluster import Cluster  # imports ray, which takes seconds

    return Cluster(address)


def _print(rows: rich.table.Table) -> None:
    """To standard output; unbroken lines where that is no terminal."""
    console = Console()
    console.print(rows) if console.is_terminal else Console(width=240).print(rows)
