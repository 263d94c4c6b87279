"""Re-checks a model directory by itself: what an auditor, or a chain, that pins its digest relies on."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import cvm
from cvm import description
from cvm import format as model_format
from cvm.certificate import certify
from cvm.description import EXT
from cvm.errors import CVMError
from cvm.formal import check_input
from cvm.formal import run as run_formal
from cvm.manifest import MANIFEST
from cvm.model import INPUT, Model
from cvm.ops.base import Array, limit
from cvm.package import PARAMS, SAMPLE, SYMBOL, Files, read_package

T = TypeVar("T")

_CERTIFICATE = "certificate.json"
_SEED = 0
_FAILED = 1


@dataclass(frozen=True)
class Check:
    """One thing that was checked, whether it holds, and what there is to say of it."""

    name: str
    ok: bool
    text: str


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    text = "check a compiled model by itself: digests, format, certificate, native runtime against the specification"
    command = commands.add_parser(
        "verify",
        help=text,
        description=f"{text}. Exit status 1 where one fails.",
        epilog="Example: %(prog)s data/digits_cvm --sha256 3f0a...",
    )
    command.add_argument("model", metavar="MODEL_DIR", help="directory with symbol and params")
    command.add_argument("--sha256", metavar="DIGEST", help="the digest that the whole directory must have")


def execute(options: argparse.Namespace) -> int:
    """Print the checks; 1 where one failed.

    Raises:
        CVMError: there is no model directory.
    """
    checks = verify(options.model, options.sha256)
    print(report(checks), end="")
    return 0 if all(check.ok for check in checks) else _FAILED


def verify(directory: str | os.PathLike[str], sha256: str | None = None) -> list[Check]:
    """Check digests, format, certificate, and that the native runtime computes what the specification says.

    A check whose grounds failed is left out. `sha256` is the digest that the whole directory must have.

    Raises:
        CVMError: there is no model directory.
    """
    directory = Path(directory)
    for name in (SYMBOL, PARAMS):
        if not (directory / name).is_file():
            raise CVMError(f"{directory} is not a model directory: no {name}")
    checks: list[Check] = []
    files = _tried(checks, "digests", lambda: _files(directory, sha256))
    if files is None:
        return checks
    contents = files.contents
    model = _tried(checks, "format", lambda: _model(contents))
    _tried(checks, "meaning", lambda: _meaning(contents))
    if model is not None:
        _tried(checks, "certificate", partial(_certificate, contents, model))
        _tried(checks, "runtime", partial(_runtime, directory, contents, model))
    return checks


def report(checks: list[Check]) -> str:
    """The checks as lines, the verdict last."""
    failed = [check.name for check in checks if not check.ok]
    lines = [f"{check.name:<12} {'ok    ' if check.ok else 'FAILED'}  {check.text}" for check in checks]
    return "\n".join([*lines, f"not verified: {', '.join(failed)} failed" if failed else "verified"]) + "\n"


def _tried(checks: list[Check], name: str, check: Callable[[], tuple[T, str]]) -> T | None:
    """Do a check and note how it went; what it found, None where it failed."""
    try:
        found, text = check()
    except CVMError as error:
        checks.append(Check(name, False, " ".join(str(error).split())))
        return None
    checks.append(Check(name, True, text))
    return found


def _files(directory: Path, sha256: str | None) -> tuple[Files, str]:
    if not os.path.lexists(directory / MANIFEST):
        raise CVMError(f"no {MANIFEST}: nothing says which files belong to the model")
    files = read_package(directory)
    if sha256 is not None and files.sha256 != sha256.strip().lower():
        raise CVMError(f"SHA-256 {files.sha256}, but {sha256} was asked for")
    return files, f"{len(files.contents)} files, SHA-256 {files.sha256}"


def _model(contents: Mapping[str, bytes]) -> tuple[Model, str]:
    model = model_format.decode(contents[SYMBOL], contents[PARAMS])
    model.infer()
    operators = sum(not node.is_variable for node in model.nodes)
    return model, f"{operators} operators, {model.operations} operations"


def _meaning(contents: Mapping[str, bytes]) -> tuple[None, str]:
    if EXT not in contents:
        return None, f"no {EXT}: integers only"
    described = description.decode(contents[EXT])
    return None, f"{len(described.inputs)} inputs and {len(described.outputs)} outputs are described"


def _certificate(contents: Mapping[str, bytes], model: Model) -> tuple[None, str]:
    proof = certify(model)
    if not proof.ok:
        raise CVMError(proof.verdict())
    if _CERTIFICATE in contents and contents[_CERTIFICATE] != proof.to_json().encode():
        raise CVMError(f"{_CERTIFICATE} is not what follows from the model")
    return None, proof.verdict()


def _runtime(directory: Path, contents: Mapping[str, bytes], model: Model) -> tuple[None, str]:
    sample = _sample(contents, model)
    found = cvm.load(directory)(sample)
    native = list(found) if isinstance(found, tuple) else [found]
    formal = run_formal(model, sample)
    for head, (ours, wanted) in enumerate(zip(native, formal)):
        different = int(np.count_nonzero(ours.astype(np.int64) != wanted.astype(np.int64)))
        if ours.shape != wanted.shape or different:
            raise CVMError(f"output {head}: {different} of {wanted.size} integers are not what the specification says")
    what = f"the sample in {SAMPLE}" if SAMPLE in contents else "seeded random input"
    return None, f"native and formal give the same {sum(array.size for array in formal)} integers for {what}"


def _sample(contents: Mapping[str, bytes], model: Model) -> Array:
    if SAMPLE not in contents:
        bound = limit(model.precisions[INPUT])
        return np.random.default_rng(_SEED).integers(-bound, bound, model.input_shape, np.int32, endpoint=True)
    try:
        sample: Array = np.load(io.BytesIO(contents[SAMPLE]), allow_pickle=False)
        check_input(model, sample)
    except (ValueError, OSError, EOFError, AttributeError) as error:
        raise CVMError(f"{SAMPLE} is not an array ({' '.join(str(error).split())[:80]})") from None
    return sample
