"""Quantizes trained networks of the zoo with every engine and writes what it cost to accuracy.md and accuracy.json."""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from accuracy.engines import ENGINES, OURS
from accuracy.judge import judge
from accuracy.report import markdown
from accuracy.results import Network, Results
from accuracy.worker import read_outputs
from bench.machine import ROOT, command, processor, versions
from mrt.atomic import atomic_write
from mrt.errors import MRTError

WORK = ROOT / "build" / "accuracy"
NETWORKS = (
    "squeezenet1.0",
    "tf_mobilenetv2_1.0",
    "cifar_resnet20_v1",
    "cifar_resnet20_v2",
    "cifar_resnet56_v1",
    "cifar_mobilenet",
    "mnist",
    "digits",
)
_QUICK = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status: 2 where the input is bad, or where a network or an engine failed."""
    options = _options(arguments)
    try:
        results, failed = _run(options)
        page = markdown(results)
        atomic_write(options.output / "accuracy.json", results.to_json())
        path = atomic_write(options.output / "accuracy.md", page)
    except MRTError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    print(page)
    _tell(f"written to {path}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 2 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m accuracy", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of the zoo; default: of {', '.join(NETWORKS)}, those whose weights and data are there",
    )
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="a folder in which weights are looked for first")
    parser.add_argument("--quick", action="store_true", help=f"evaluate only {_QUICK} pictures of each dataset")
    parser.add_argument(
        "--keep", action="store_true", help="use what peers gave earlier for the same networks and pictures"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="default: docs; build/accuracy with NAMEs or --quick"
    )
    parser.add_argument("--python", type=Path, default=ROOT / ".venv/bin/python", help="the interpreter that has mrt")
    options = parser.parse_args(arguments)
    options.python = options.python.absolute()  # workers run in ROOT; not resolve(), which would leave the environment
    options.models = options.models and options.models.absolute()
    if options.output is None:
        options.output = WORK if options.names or options.quick else ROOT / "docs"
    return options


def _run(options: argparse.Namespace) -> tuple[Results, list[str]]:
    """What was found, and the networks and engines that failed."""
    if options.models is not None and not options.models.is_dir():
        raise MRTError(f"--models {options.models}: no such folder")
    models = ["--models", str(options.models)] if options.models else []
    pictures = ["--pictures", str(_QUICK)] if options.quick else []
    names = tuple(dict.fromkeys(options.names)) or NETWORKS
    networks = [str(options.python), "-m", "accuracy.networks"]
    problems = json.loads(command([*networks, "check", *names, *models]))
    left_out = {name: problem for name, problem in problems.items() if problem}
    if left_out and (options.names or len(left_out) == len(names)):
        raise MRTError("; ".join(f"{name}: {problem}" for name, problem in left_out.items()))
    found, failed = [], []
    for name in names:
        if name in left_out:
            _tell(f"{name}: left out: {left_out[name]}")
            continue
        folder = WORK / name
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            _tell(f"{name}: compiling, and running the float network")
            command([*networks, "make", name, "--folder", str(folder), *models, *pictures])
            found.append(_measure(name, options.python))
        except MRTError as error:
            left_out[name] = f"failed: {error}"
            failed.append(name)
            _tell(f"{name}: {left_out[name]}")
        else:
            failed += [f"{engine} on {name}" for engine in found[-1].failures]
    date = datetime.date.today().isoformat()
    return Results(date, processor(), versions(options.python), found, left_out), failed


def _measure(name: str, python: Path) -> Network:
    """Run every engine on a network that `accuracy.networks` made, and judge their outputs."""
    from bench.export import export, verify  # need onnx, which checking the input doesn't

    folder = WORK / name
    export(folder)
    verify(folder)
    outputs, failures = {}, {}
    for engine, kind in ENGINES.items():
        _tell(f"{name}: {engine}")
        interpreter = python if kind.beside_mrt else Path(sys.executable)
        try:
            command([str(interpreter), "-m", "accuracy.worker", engine, str(folder)])
        except MRTError as error:  # its process died; what it found before counts
            failures[engine] = str(error)
        outputs[engine] = read_outputs(folder / "outputs" / engine, kind)
    labels, reference = np.load(folder / "labels.npy"), np.load(folder / "outputs.npy")
    engines = judge(labels, reference, OURS, outputs)
    for engine in ENGINES.keys() - engines.keys():
        reasons = [reason for reason in outputs[engine].values() if isinstance(reason, str)]
        failures.setdefault(engine, (reasons or ["no outputs"])[0])
    about = json.loads((folder / "about.json").read_text())
    return Network(
        name=name,
        dataset=about["dataset"],
        calibrated=len(np.load(folder / "calibration.npy", mmap_mode="r")),
        pictures=len(labels),
        top1=float((reference.argmax(axis=1) == labels).mean()),
        compared=about["samples"],
        mismatches=about["mismatches"],
        engines=engines,
        failures=failures,
    )


def _tell(line: str) -> None:
    print(f"accuracy: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
