"""Trains the students of mrt/zoo/text, compiles them and writes docs/text.md of what they achieve.

A configuration that has run with the same settings is not run again; one that was interrupted goes on with the epoch
that it was in. The teacher is that of `make teacher`. `python -m text NAME ...` runs only those.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mrt.atomic import atomic_write

ROOT = Path(__file__).resolve().parents[1]
TEACHER = "minilm"
KEYS = ("model", "accuracy", "agreement", "sqnr_db", "size_bytes", "samples", "bit_exact", "latency_ms")
HEADERS = ("row", "float", "integers", "agreement", "SQNR dB", "float bytes", "integer bytes", "ms a sentence")


@dataclass(frozen=True)
class Places:
    """Where things are.

    Attributes:
        rows: a configuration for each row, one of them the teacher's.
        results: what has been measured.
        models: weights: those of the teacher, and the students' as they are trained.
        build: what the runs leave.
    """

    rows: Path
    results: Path
    models: Path
    build: Path


HERE = Places(ROOT / "mrt" / "zoo" / "text", ROOT / "text" / "results", ROOT / "data", ROOT / "build" / "text")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where a configuration did not run through."""
    parser = argparse.ArgumentParser(prog="python -m text", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="configurations of mrt/zoo/text; all by default")
    parser.add_argument("--models", type=Path, default=HERE.models, help="where the teacher is, and students go")
    options = parser.parse_args(arguments)
    places = Places(HERE.rows, HERE.results, options.models.resolve(), HERE.build)
    names = options.names or sorted((path.stem for path in places.rows.glob("*.ini")), key=lambda name: name != TEACHER)
    failed = [name for name in names if not run(name, places)]
    atomic_write(ROOT / "docs" / "text.md", document(places))
    if failed:
        print(f"did not run through: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, places: Places) -> bool:
    """Train one configuration's network, unless its weights are there, and run it, unless its result is."""
    configuration, kept, folder = places.rows / f"{name}.ini", places.results / f"{name}.json", places.build / name
    text = configuration.read_text()
    if kept.is_file() and json.loads(kept.read_text())["configuration"] == text:
        return True
    print(f"{name} ...", flush=True)
    given = ["--quiet", "--set", f"DEFAULT.Model_dir={places.models}", "--set", f"DEFAULT.Output_dir={folder}"]
    taught = ["--set", f"DISTILLATION.Teacher={places.models / TEACHER}"] if "[DISTILLATION]" in text else []
    wanted = ["run"]
    if name != TEACHER and not (places.models / f"{name}-symbol.json").is_file():
        wanted.insert(0, "train")
    if any(_mrt(command, configuration, [*given, *taught]) for command in wanted):
        return False
    (written,) = folder.glob("*.report.json")
    report = json.loads(written.read_text())
    atomic_write(kept, json.dumps({"configuration": text, **{key: report[key] for key in KEYS}}, indent=1) + "\n")
    return True


def _mrt(command: str, configuration: Path, given: Sequence[str]) -> int:
    line = [sys.executable, str(ROOT / "mrt" / "main.py"), command, str(configuration), *given]
    return subprocess.run(line, stdout=subprocess.DEVNULL, cwd=ROOT).returncode


def document(places: Places) -> str:
    """docs/text.md."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(places.results.glob("*.json"))}
    head = (ROOT / "text" / "introduction.md").read_text()
    table = tabulate([row(*item) for item in found.items()], headers=HEADERS, tablefmt="github", disable_numparse=True)
    what = [
        f"| {path.stem} | {path.read_text().splitlines()[0].lstrip('# ')} | {state} |"
        for path in sorted(places.rows.glob("*.ini"))
        for state in ["" if path.stem in found else "not run yet"]
    ]
    return "\n".join([head, *([table, ""] if found else []), "| row | what it is | |", "|---|---|---|", *what]) + "\n"


def row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    top = {kind: f"{next(iter(values.values())):.2%}" for kind, values in found["accuracy"].items() if values}
    size, time = found["size_bytes"], found["latency_ms"].get("cvm")
    return (
        name,
        top.get("float", "-"),
        top.get("cvm", "-"),
        f"{found['agreement']:.2%}",
        f"{found['sqnr_db']:.1f}",
        f"{size['float']:,}",
        f"{size['cvm']:,}",
        "-" if time is None else f"{time:.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
