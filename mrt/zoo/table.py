"""The Markdown table of the whole zoo and its results: `docs/zoo.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from mrt.report import Report
from mrt.zoo.check import entry
from mrt.zoo.results import Results

HEADERS = (
    "model",
    "dataset",
    "input",
    "weights",
    "pictures",
    "float top-1",
    "integer top-1",
    "agreement with float",
    "SQNR (dB)",
    "mismatches",
    "model (MB)",
    "time (s)",
    "CPU (s)",
    "memory (GB)",
)
_NUMBERS_FROM = HEADERS.index("pictures")

FAMILIES_TITLE = "## One network of each family"
"""Where the part of the document begins that `mrt.zoo.families` writes."""

_TEXT = """# The model zoo

Written by `mrt zoo table` from what `mrt zoo run` measured; `mrt/zoo/NAME.ini` is each network's configuration.

- **weights**: *trained*, or *random*: the trained weights were not to be had, so the run is a structural one, with
  seeded weights and BatchNorm statistics fitted on calibration pictures. It shows how closely the integer model
  follows the float one, and no accuracy.
- **dataset**: the pictures that the network was evaluated on; *synthetic* are seeded ones, where the network's own
  dataset was not to be had.
- **agreement with float**: the share of the pictures on which both models put the same class first.
- **SQNR**: 10·log10(Σ float² / Σ (float - integer)²) over the logits.
- **mismatches**: the pictures on which the compiled model on its runtime differs in any bit from the integer graph on
  MXNet, of those that both computed.
- **model**: the compiled integer model on disk. **time**: the whole run, from loading to evaluation. **CPU**: the time
  of all processors together, which other load on the machine changes little. **memory**: the largest resident size of
  the process.

"""


def table(names: Sequence[str], results: Results) -> str:
    """The document: a row for each of the networks, with its last result where there is one.

    Raises:
        MRTError: a kept report is damaged.
    """
    rows = [_row(name, results) for name in names]
    alignment = ["left" if i < _NUMBERS_FROM else "right" for i in range(len(HEADERS))]
    text = tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True, colalign=alignment)
    used = [report.cpu_seconds for name in names if (report := results.report(name)) and report.cpu_seconds]
    text += f"\n\n{len(used)} runs took {sum(used) / 60:.0f} minutes of processor time."
    failures = [f"- {name}: {reason}" for name in names if (reason := results.failure(name))]
    return _TEXT + text + "\n" + ("\nThe last run failed:\n\n" + "\n".join(failures) + "\n" if failures else "")


def _row(name: str, results: Results) -> tuple[str, ...]:
    known = entry(name)
    shape = "x".join(str(size) for size in known.input_shape if size != -1) or "-"
    report = results.report(name)
    if report is None:
        return (name, known.dataset or "-", shape, *"-" * (len(HEADERS) - 3))
    return (
        name,
        report.dataset or known.dataset,
        shape,
        report.weights,
        str(report.samples),
        _top1(report, "float"),
        _top1(report, "cvm", "quantized"),
        _percent(report.agreement),
        "-" if report.sqnr_db is None else f"{report.sqnr_db:.1f}",
        "-" if report.bit_exact is None else f"{report.bit_exact.mismatches} of {report.bit_exact.samples}",
        "-" if report.size_bytes.cvm is None else f"{report.size_bytes.cvm / 1e6:.1f}",
        f"{sum(report.seconds.values()):.0f}",
        "-" if report.cpu_seconds is None else f"{report.cpu_seconds:.0f}",
        "-" if report.peak_memory_bytes is None else f"{report.peak_memory_bytes / 1e9:.1f}",
    )


def _top1(report: Report, *executors: str) -> str:
    """The first metric of the first of the executors that has one; a structural run has none."""
    values = [value for executor in executors for value in report.accuracy.get(executor, {}).values()]
    return _percent(values[0] if values and report.weights == "trained" else None)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def families(path: Path) -> str:
    """The part of a document about families, to be kept when the rest is written anew; nothing where there is none."""
    _, title, rest = path.read_text(encoding="utf-8").partition(FAMILIES_TITLE) if path.is_file() else ("", "", "")
    return f"\n{title}{rest}" if title else ""


def default_path() -> Path:
    """`docs/zoo.md` of the project; of the working directory where an installed package has no project around it."""
    project = Path(__file__).resolve().parents[2]
    return (project if (project / "pyproject.toml").is_file() else Path.cwd()) / "docs" / "zoo.md"
