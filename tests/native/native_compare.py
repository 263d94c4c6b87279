"""Compares the native runtime with the formal executor, integer for integer."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from cvm import Model, Node, _native, formal, runtime
from cvm.package import save_package
from cvm_cases import Case, one_operator, values

__all__ = [
    "KERNELS",
    "assert_same",
    "both_from_data",
    "check",
    "compare",
    "one_operator",
    "run_native",
    "save",
    "values",
]
ON_ARM = platform.machine() in ("aarch64", "arm64")
KERNELS = ("portable", "neon", "dotprod", "i8mm") if ON_ARM else ("portable", "avx2", "avxvnni", "avx512")

# AddressSanitizer takes terabytes of address space and keeps what is freed.
counts_memory = pytest.mark.skipif(
    sys.platform != "linux" or "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="needs Linux's accounts of memory, without a sanitizer's own",
)


def save(folder: Path, model: Model) -> Path:
    save_package(folder, model, {}, None)
    return folder


def has_kernels(name: str) -> bool:
    """Whether this processor and this build run a table of kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVM_KERNELS", name)
        return _native.kernels() == name


AVAILABLE = tuple(name for name in KERNELS if has_kernels(name))
each_kernels = pytest.mark.parametrize(
    "kernels",
    [
        pytest.param(name, marks=pytest.mark.skipif(name not in AVAILABLE, reason=f"this processor has no {name}"))
        for name in KERNELS
    ],
)


def run_native(folder: Path, x: np.ndarray, threads: int = 2, kernels: str | None = None) -> list[np.ndarray]:
    """The outputs, on the named table of kernels where one is named."""
    with pytest.MonkeyPatch.context() as patch:
        if kernels:
            patch.setenv("CVM_KERNELS", kernels)
        model = runtime.load(folder, threads=threads)
    assert kernels in (None, model.kernels)
    outputs = model(x)
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def assert_same(model: Model, got: list[np.ndarray], want: list[np.ndarray]) -> None:
    assert len(got) == len(want) == len(model.heads)
    for g, w in zip(got, want):
        np.testing.assert_array_equal(g, w)


def check(folder: Path, model: Model, x: np.ndarray, threads: int = 2, kernels: str | None = None) -> list[np.ndarray]:
    """Run both and compare; returns the outputs."""
    want = formal.run(model, x)
    assert_same(model, run_native(save(folder, model), x, threads, kernels), want)
    return want


def compare(model: Model, folder, batch: int = 2) -> list[str]:
    """On every table of kernels, one thread and several; returns the titles of the steps."""
    save(folder, model)
    x = values(np.random.default_rng(1), (batch, *model.input_shape[1:]), 8)
    want = formal.run(model, x)
    for kernels in AVAILABLE:
        for threads in (1, 3):
            assert_same(model, run_native(folder, x, threads, kernels), want)
    return [step["title"] for step in runtime.load(folder).plan()["steps"]]


def both_from_data(case: Case) -> Model:
    """An operator of two equally shaped inputs that both depend on `data`: x and a copy turned around."""
    axes = len(case.shapes[0])
    nodes = [
        Node("null", "data"),
        Node("negative", "n", ((0, 0),)),
        Node(
            "strided_slice",
            "r",
            ((1, 0),),
            {
                "begin": f"({'-1,' * axes})",
                "end": str(tuple(-d - 1 for d in case.shapes[0])),
                "stride": f"({'-1,' * axes})",
            },
        ),
        Node(case.op, "y", ((0, 0), (2, 0)), case.attrs),
    ]
    return Model(nodes, [(3, 0)], {}, {"data": min(case.precisions)}, tuple(case.shapes[0]))
