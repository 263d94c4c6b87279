"""Command line: ``python -m cvm run``, ``inspect``, ``verify``, ``bench``."""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np

import cvm
from cvm import bench, verification
from cvm.ending import ended
from cvm.errors import CVMError
from cvm.files import read_file, write_files
from cvm.formal import join_outputs
from cvm.formal import run as run_formal
from cvm.format import examine
from cvm.inspection import describe
from cvm.interface import Interface, Values
from cvm.model import INPUT
from cvm.ops.base import Array
from cvm.package import SYMBOL, Package, load_package

_OWN: Mapping[str, Any] = {"verify": verification, "bench": bench}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status.

    0: done; 1: `inspect --strict` or `verify` found something; 2: bad input, named in one line; 130: interrupted.
    """
    return ended("cvm", lambda: _command(_parser().parse_args(arguments)), (CVMError,))


def _command(options: argparse.Namespace) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("default", cvm.errors.CVMWarning)
        warnings.showwarning = _show_warning_once()
        if options.command == "inspect":
            return _inspect(options)
        if options.command in _OWN:
            return int(_OWN[options.command].execute(options))
        _run(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cvm", description="Run, inspect, verify and time integer-only CVM models."
    )
    parser.add_argument("--version", action="version", version=f"cvm {cvm.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="run a model on arrays or a picture",
        description="Integers are taken as they are, real numbers are quantized, a picture (PNG or JPEG, needs Pillow) "
        "is made into input as ext.json records.",
        epilog="Example: %(prog)s data/digits_cvm --input data/digits_cvm/data.npy",
    )
    run.add_argument("model", metavar="MODEL_DIR", help="directory with symbol and params")
    run.add_argument(
        "--input",
        required=True,
        action="append",
        metavar="[NAME=]FILE",
        help="a .npy array or a picture; for a model of several inputs one NAME=FILE for each, or one .npz of all",
    )
    run.add_argument("--output", metavar="Y.npy", help="where the output integers go (default: print the best classes)")
    run.add_argument("--top", type=int, default=5, metavar="N", help="how many classes to print (default: 5)")
    run.add_argument("--backend", choices=("native", "formal"), default="native", help="default: native")
    run.add_argument("--threads", type=int, metavar="N", help="threads of the native backend (default: all cores)")
    run.add_argument("--max-memory", type=int, metavar="BYTES", help="of the native backend (default: 2 GiB)")
    run.add_argument("--max-operations", type=int, metavar="N", help="most operations that inspect may count (native)")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="stop a run that takes longer (native)")
    text = "show nodes, shapes, sizes, operations and the overflow certificate"
    inspect = commands.add_parser(
        "inspect", help=text, description=text, epilog="Example: %(prog)s data/digits_cvm --strict"
    )
    inspect.add_argument("model", metavar="MODEL_DIR", help="directory with symbol and params")
    inspect.add_argument(
        "--strict", action="store_true", help="list what the reference refuses or computes otherwise; then status 1"
    )
    for each in _OWN.values():
        each.add_to(commands)
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
    if options.top < 1:
        raise CVMError(f"--top {options.top}: must be at least 1")
    package = load_package(options.model)
    model = package.model
    interface = Interface(package.description, tuple(model.input_shape), model.precisions[INPUT])
    execute = _executor(options, package)
    outputs = execute(interface.accept(_values(interface, options.input)))
    if options.output is None:
        if len(outputs) != 1:
            raise CVMError(f"the model has {len(outputs)} outputs: say with --output where they go")
        for prediction in interface.best(outputs[0], options.top):
            print(prediction)
        return
    buffer = io.BytesIO()
    np.save(buffer, join_outputs(model, outputs), allow_pickle=False)
    write_files({Path(options.output): buffer.getvalue()})


def _executor(options: argparse.Namespace, package: Package) -> Callable[[Array], list[Array]]:
    limits = {"max_memory": options.max_memory, "max_operations": options.max_operations}
    if options.backend == "formal":
        for name, value in {**limits, "timeout": options.timeout}.items():
            if value is not None:
                raise CVMError(f"--{name.replace('_', '-')}: only the native backend has limits")
        return lambda x: run_formal(package.model, x)
    native = cvm.load(options.model, threads=options.threads, **limits)

    def execute(x: Array) -> list[Array]:
        outputs = native(x, timeout=options.timeout)
        return list(outputs) if isinstance(outputs, tuple) else [outputs]

    return execute


def _values(interface: Interface, given: Sequence[str]) -> Values:
    """The arrays that the --input options name: one, or one for each input."""
    names = [entry.name for entry in interface.description.inputs]
    values: dict[str, Array] = {}
    for item in given:
        name, equals, path = item.partition("=")
        if equals and (name in names or len(given) > 1):
            if name in values:
                raise CVMError(f"--input {name}: given twice")
            values[name] = _read(interface, Path(path), name)
        elif len(given) > 1:
            raise CVMError(f"--input {item}: of several, each must be NAME=FILE")
        elif item.lower().endswith(".npz"):
            values = _load(Path(item), np.lib.npyio.NpzFile, "a .npz archive of arrays", dict)
        else:
            return _read(interface, Path(item), None)
    return values


def _read(interface: Interface, path: Path, name: str | None) -> Array:
    """A .npy array, or what `ext.json` says a picture is made into."""
    if path.suffix.lower() != ".npy":
        return interface.preprocess(path, name)
    array: Array = _load(path, np.ndarray, "a .npy array", np.asarray)
    return array


def _load(path: Path, kind: type, what: str, convert: Callable[[Any], Any]) -> Any:
    content = read_file(path)
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, kind):
            return convert(loaded)
    except Exception as error:  # damaged archives raise nearly anything
        raise CVMError(f"{path} is not {what} ({' '.join(str(error).split())[:80]})") from None
    raise CVMError(f"{path} is not {what}")


def _show_warning_once() -> Callable[..., None]:
    said: set[str] = set()

    def show(message: Warning | str, *_: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            print(f"cvm: warning: {message}", file=sys.stderr)

    return show


if __name__ == "__main__":
    sys.exit(main())
