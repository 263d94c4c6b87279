"""Runs the configurations of mrt/zoo/compressed, one process each, and writes docs/compression.md of what they report.

A configuration that has run with the same settings is not run again; one that was interrupted goes on with the epoch
that it was in. `python -m compression NAME ...` runs only those; `--table` writes the table of what there is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mrt.atomic import atomic_write

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "mrt" / "zoo" / "compressed"
RESULTS = ROOT / "compression" / "results"
BUILD = ROOT / "build" / "compression"
HEADERS = ("row", "network", "float before", "float after", "integers", "multiply-adds", "parameters", "model bytes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where a configuration did not run through."""
    parser = argparse.ArgumentParser(prog="python -m compression", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="configurations of mrt/zoo/compressed; all by default")
    parser.add_argument("--table", action="store_true", help="only write docs/compression.md")
    options = parser.parse_args(arguments)
    names = options.names or sorted(path.stem for path in ROWS.glob("*.ini"))
    failed = [] if options.table else [name for name in names if not run(name)]
    atomic_write(ROOT / "docs" / "compression.md", document())
    if failed:
        print(f"did not run through: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> bool:
    """Run one configuration, unless its result is there."""
    configuration, kept, folder = ROWS / f"{name}.ini", RESULTS / f"{name}.json", BUILD / name
    text = configuration.read_text()
    if kept.is_file() and json.loads(kept.read_text())["configuration"] == text:
        return True
    print(f"{name} ...", flush=True)
    command = [sys.executable, str(ROOT / "mrt" / "main.py"), str(configuration)]
    command += ["--set", f"DEFAULT.Output_dir={folder}", "--quiet"]
    if subprocess.run(command, stdout=subprocess.DEVNULL, cwd=ROOT).returncode:
        return False
    (written,) = folder.glob("*.report.json")
    report = json.loads(written.read_text())
    keys = ("model", "accuracy", "compression", "size_bytes", "samples", "seconds", "bit_exact", "qat")
    atomic_write(kept, json.dumps({"configuration": text, **{key: report[key] for key in keys}}, indent=1) + "\n")
    return True


def document() -> str:
    """docs/compression.md."""
    rows, details = [], []
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text())
        rows.append(row(path.stem, found))
        details.append(f"| {path.stem} | {found['configuration'].splitlines()[0].lstrip('# ')} |")
    head = (ROOT / "compression" / "introduction.md").read_text()
    table = tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True)
    what = "\n".join(["| row | what it is |", "|---|---|", *details])
    return f"{head}\n{table}\n\n{what}\n"


def row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    steps, size = found["compression"], f"{found['size_bytes']['cvm']:,}"
    if not steps:  # the float network stays as it is
        return (
            name,
            found["model"],
            _top1(found["accuracy"]["float"]),
            "-",
            _top1(found["accuracy"]["cvm"]),
            "-",
            "-",
            size,
        )
    first, last = steps[0], steps[-1]
    return (
        name,
        found["model"],
        _top1(first["accuracy"]),
        _top1(last["accuracy"]),
        _top1(found["accuracy"].get("cvm", {})),
        f"{last['macs'] / 1e6:.2f} M ({last['macs'] / first['macs']:.0%})",
        f"{last['parameters']:,} ({last['parameters'] / first['parameters']:.0%})",
        size,
    )


def _top1(values: dict[str, float]) -> str:
    return f"{next(iter(values.values())):.2%}" if values else "-"


if __name__ == "__main__":
    sys.exit(main())
