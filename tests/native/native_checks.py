"""What the checks of failing allocations share: models that use every kind of step, and the program that runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import native_models
import numpy as np
from cvm import Model, Node


def compiler() -> str:
    """The C++ compiler that can build the checks."""
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    assert found, "a C++ compiler built the runtime, so there is one"
    return found


def build_allocations(sources: Path, folder: Path) -> Path:
    """Compile `check/allocations.cpp` with the runtime's sources, for the portable kernels and without optimization."""
    files = [
        *(path for path in sources.glob("*/*.cpp") if path.parent.name not in ("bind", "capi", "fuzz", "check", "wasm"))
    ]
    files.append(sources / "check" / "allocations.cpp")

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.parent.name}_{source.stem}.o"
        command = [compiler(), "-std=c++17", "-O0", "-fPIC", f"-I{sources}", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        objects = list(workers.map(compile_one, files))
    program = folder / "allocations"
    subprocess.run([compiler(), *map(str, objects), "-pthread", "-o", str(program)], check=True)
    return program


def detector() -> Model:
    """Operators that run by their scalar definition and take memory of their own: take, where, counts, suppression."""
    nodes = [
        Node("null", "data"),
        Node("null", "order"),
        Node("take", "t", ((0, 0), (1, 0)), {"axis": "1"}),
        Node("get_valid_counts", "g", ((2, 0),), {"score_threshold": "-20"}),
        Node("non_max_suppression", "n", ((3, 1), (3, 0)), {"iou_threshold": "30"}),
        Node("where", "w", ((4, 0), (4, 0), (2, 0))),
        Node("tile", "y", ((5, 0),), {"reps": "(1, 2, 1)"}),
    ]
    order = np.array([7, 0, 3, 3, 6, 1, 2, 5, 4], np.int32)
    return Model(nodes, [(6, 0), (3, 0)], {"order": order}, {"data": 8, "order": 8}, (1, 9, 6))


def models() -> dict[str, Model]:
    """Small models that together use every kind of step."""
    return {
        "detector": detector(),
        "residual": native_models.random_net(np.random.default_rng(12), 5),
        "maps": native_models.random_net(np.random.default_rng(3), 5),
    }
