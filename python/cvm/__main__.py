"""Command line: ``python -m cvm run`` and ``python -m cvm inspect``."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import cvm
from cvm.errors import CVMError
from cvm.files import read_file, write_files
from cvm.formal import join_outputs
from cvm.formal import run as run_formal
from cvm.format import examine
from cvm.inspection import describe
from cvm.ops.base import Array
from cvm.package import SYMBOL, load_package


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 1 where `inspect --strict` found something, 2 after one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "run":
            _run(options)
        else:
            return _inspect(options)
    except CVMError as error:
        print(f"cvm: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cvm", description="Run and inspect integer-only CVM models.")
    parser.add_argument("--version", action="version", version=f"cvm {cvm.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a model on a batch of integers")
    run.add_argument("model", metavar="MODEL_DIR", help="directory with symbol and params")
    run.add_argument("--input", required=True, metavar="X.npy", help="integers of the input's shape, any batch")
    run.add_argument("--output", required=True, metavar="Y.npy", help="where the output integers go")
    run.add_argument("--backend", choices=("formal", "native"), default="formal", help="default: formal")
    run.add_argument("--threads", type=int, metavar="N", help="threads of the native backend (default: all cores)")
    inspect = commands.add_parser("inspect", help="show nodes, shapes, sizes and the overflow certificate")
    inspect.add_argument("model", metavar="MODEL_DIR", help="directory with symbol and params")
    inspect.add_argument(
        "--strict", action="store_true", help="list what the reference refuses or computes otherwise; then status 1"
    )
    return parser


def _inspect(options: argparse.Namespace) -> int:
    package = load_package(options.model)
    storage, departures = examine(Path(options.model) / SYMBOL, package.model)
    print(describe(package, storage), end="")
    print(_plan(options.model), end="")
    if not options.strict:
        return 0
    print("\n" + "\n".join(departures or ["The reference takes this model as it is."]))
    return 1 if departures else 0


def _plan(directory: str) -> str:
    """How the native runtime runs the model; nothing where it was not built."""
    try:
        from cvm import runtime
    except ImportError:
        return ""
    return f"\n{runtime.load(directory).describe()}"


def _run(options: argparse.Namespace) -> None:
    if options.threads is not None and options.threads < 1:
        raise CVMError(f"--threads {options.threads}: must be at least 1")
    x = _read_array(Path(options.input))
    model = load_package(options.model).model
    if options.backend == "formal":
        y = join_outputs(model, run_formal(model, x))
    else:
        outputs = cvm.load(options.model, threads=options.threads)(x)
        y = join_outputs(model, list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])
    buffer = io.BytesIO()
    np.save(buffer, y, allow_pickle=False)
    write_files({Path(options.output): buffer.getvalue()})


def _read_array(path: Path) -> Array:
    try:
        array = np.load(io.BytesIO(read_file(path)), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise CVMError(f"{path} is not a .npy array ({str(error)[:80]})") from None
    if not isinstance(array, np.ndarray):
        raise CVMError(f"{path} is an archive, expected one .npy array")
    return array


if __name__ == "__main__":
    sys.exit(main())
