"""Runs the networks of mrt/zoo whose weights and data are there, and prints what the integers cost as a Markdown table.

Usage: MRT_DATA=FOLDER python tools/accuracy.py [--models FOLDER] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mrt.config import load
from mrt.config.paths import model_files

ROOT = Path(__file__).resolve().parents[1]
HEADERS = (
    "network",
    "samples",
    "float top-1",
    "cvm top-1",
    "points lost",
    "same class as float",
    "SQNR (dB)",
    "mismatches",
)


def main() -> int:
    """Run, print, return the exit status: 1 where a network failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="files of mrt/zoo, without .ini; default: all whose weights are there"
    )
    parser.add_argument("--models", type=Path, help="the folder of the weights that aren't in data/")
    options = parser.parse_args()
    rows, failed = [], []
    for name in options.names or sorted(path.stem for path in (ROOT / "mrt/zoo").glob("*.ini")):
        path = ROOT / "mrt/zoo" / f"{name}.ini"
        config = load(path)
        overrides = []
        if model_files(config.default.model_dir, config.default.model_name) is None:
            if options.models and model_files(options.models, config.default.model_name):
                overrides = ["--set", f"DEFAULT.Model_dir={options.models}"]
            elif not options.names:
                continue
        if subprocess.run([sys.executable, ROOT / "mrt/main.py", path, *overrides], check=False).returncode != 0:
            failed.append(name)
            continue
        written = config.default.output_dir / f"{config.default.model_name}.report.json"
        rows.append(row(name, json.loads(written.read_text())))
    print(tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True))
    if failed:
        print(f"not measured: {', '.join(failed)} (see above)", file=sys.stderr)
    return 1 if failed else 0


def row(name: str, report: dict[str, Any]) -> tuple[str, ...]:
    """One network's line, from its report."""
    expected, compiled = (report["accuracy"][kind]["top1"] for kind in ("float", "cvm"))
    return (
        name,
        f"{report['samples']}",
        f"{expected:.2%}",
        f"{compiled:.2%}",
        f"{100 * (expected - compiled):.2f}",
        "-" if report["agreement"] is None else f"{report['agreement']:.2%}",
        "-" if report["sqnr_db"] is None else f"{report['sqnr_db']:.1f}",
        "-" if report["bit_exact"] is None else f"{report['bit_exact']['mismatches']}",
    )


if __name__ == "__main__":
    sys.exit(main())
