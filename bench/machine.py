"""Commands, versions and the processor: what measurements of any kind need to know of the machine."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from mrt.errors import MRTError

ROOT = Path(__file__).resolve().parent.parent
_PEERS = ("onnxruntime", "openvino", "nncf")


def command(arguments: list[str]) -> str:
    """Standard output of a command run in the root of the project.

    Raises:
        MRTError: it cannot be started or it failed; with the last line of what it said.
    """
    try:
        result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MRTError(f"{arguments[0]}: {error.strerror}") from None
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise MRTError(f"{reason} (of {' '.join(arguments[:3])} …)")
    return result.stdout


def versions(python: Path) -> dict[str, str]:
    """Of everything compared; `python` is the interpreter that has mrt."""
    code = "import cvm, mxnet; print(cvm.__version__, mxnet.__version__)"
    ours, mxnet = command([str(python), "-c", code]).split()
    return {"cvm": ours, "mxnet": mxnet, **{name: version(name) for name in _PEERS}}


def listed(versions: Mapping[str, str]) -> str:
    """The sentence of a report that names them."""
    return ", ".join(f"{name} {number}" for name, number in versions.items()) + "."


def processor() -> str:
    """The processor's name; on Linux, platform.processor() is only its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
