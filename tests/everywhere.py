"""The runtime on other processors, under qemu: `make test-arm`.

Builds `python/cvm/native/check/cases.cpp` with the runtime for each target and runs the cases that `everywhere_record`
wrote, each table of kernels on a processor that has it and none better. Compilers are the distribution's where they are
installed (`g++-aarch64-linux-gnu`), else Zig's, from the package index (extra `cross`).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BUILD = PROJECT / "build" / "everywhere"


@dataclass(frozen=True)
class Target:
    """A kind of machine: `name` as CMake calls its processor, the distribution's compiler, Zig's name of it."""

    name: str
    compiler: str
    zig: str


@dataclass(frozen=True)
class Processor:
    """A processor that qemu plays (its -cpu), and the table of kernels that must run on it."""

    target: Target
    cpu: str
    kernels: str


ARM = Target("aarch64", "aarch64-linux-gnu-g++", "aarch64-linux-musl")
PROCESSORS = (
    Processor(ARM, "cortex-a53", "neon"),
    Processor(ARM, "cortex-a76", "dotprod"),
    Processor(ARM, "max", "i8mm"),
)


class MissingError(Exception):
    """A program that is not installed; the message says which and where it is from."""


def compiler(target: Target) -> Path:
    """A command that compiles for the target. Raises `MissingError` where neither compiler is installed."""
    found = shutil.which(target.compiler)
    if found:
        return Path(found)
    if importlib.util.find_spec("ziglang") is None:
        raise MissingError(f"no {target.compiler} and no Zig: pip install ziglang")
    command = BUILD / f"{target.name}-c++"
    command.parent.mkdir(parents=True, exist_ok=True)
    call = f'"{sys.executable}" -m ziglang c++ -target {target.zig} "$@"'
    command.write_text(f"#!/bin/sh\nexec {call}\n", encoding="utf-8")
    command.chmod(0o755)
    return command


def build(target: Target) -> Path:
    """Compile the runtime and the program for the target. Raises `MissingError`."""
    for program in ("cmake", "ninja"):
        if not shutil.which(program):
            raise MissingError(f"no {program}: pip install {program}")
    folder = BUILD / target.name
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": target.name,
        "CMAKE_CXX_COMPILER": str(compiler(target)),
        "CMAKE_EXE_LINKER_FLAGS": "-static",
        "CVM_PYTHON": "OFF",
        "CVM_CHECKS": "ON",
    }
    defines = [f"-D{key}={value}" for key, value in settings.items()]
    subprocess.run(["cmake", "-S", str(PROJECT / "python"), "-B", str(folder), "-G", "Ninja", *defines], check=True)
    subprocess.run(["cmake", "--build", str(folder), "--target", "cases"], check=True)
    return folder / "cases"


def emulator(target: Target) -> str:
    """The program that runs the target's. Raises `MissingError`."""
    found = shutil.which(f"qemu-{target.name}") or shutil.which(f"qemu-{target.name}-static")
    if not found:
        raise MissingError(f"no qemu-{target.name}: apt-get install qemu-user")
    return found


def run(processor: Processor, program: Path, cases: Path) -> str:
    """The program's last line; raises `SystemExit` with all of them where a case differs or other kernels ran."""
    command = [emulator(processor.target), "-cpu", processor.cpu, str(program), str(cases)]
    environment = {key: value for key, value in os.environ.items() if key != "CVM_KERNELS"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode or not lines or not lines[-1].startswith(f"{processor.kernels} kernels:"):
        raise SystemExit("\n".join([f"{processor.cpu} should run {processor.kernels}, all equal:", *lines]))
    return lines[-1]


def main() -> int:
    """Run the cases on every processor."""
    parser = argparse.ArgumentParser(description="Runs recorded cases on other processors.")
    parser.add_argument("--cases", type=Path, default=BUILD / "cases", help="what everywhere_record wrote")
    options = parser.parse_args()
    try:
        programs = {target: build(target) for target in {p.target for p in PROCESSORS}}
        for processor in PROCESSORS:
            print(f"{processor.cpu}: {run(processor, programs[processor.target], options.cases)}", flush=True)
    except MissingError as error:
        print(f"everywhere: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
