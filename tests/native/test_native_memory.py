"""A machine that runs out of memory: the caller gets an error, the process and the model stay usable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import native_checks
import pytest
from cvm import Model, Node
from native_compare import counts_memory, save


@pytest.fixture(scope="module")
def allocations(project, tmp_path_factory) -> Path:
    """The program that fails allocations: shipped by `make sanitize`, else compiled here."""
    if built := os.environ.get("CVM_ALLOCATIONS"):
        return Path(built)
    return native_checks.build_allocations(project / "python" / "cvm" / "native", tmp_path_factory.mktemp("check"))


@pytest.mark.parametrize("name", native_checks.models())
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", ["once", "on"])
def test_every_allocation_may_fail(name: str, threads: int, mode: str, allocations, tmp_path) -> None:
    """An error each time, and the right integers afterwards; here every 23rd allocation, in `make sanitize` all."""
    folder = save(tmp_path, native_checks.models()[name])
    stride = os.environ.get("CVM_ALLOCATIONS_STRIDE", "23")
    command = [str(allocations), str(folder), "3", str(threads), mode, stride]
    own = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "ASAN_OPTIONS")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, env=own)
    assert done.returncode == 0, done.stderr[-2000:]
    print(name, threads, mode, done.stdout.strip())
    attempts, at_load, at_run, harmless = map(int, re.findall(r"\d+", done.stdout))
    assert at_load and at_run  # both ways were seen
    assert at_load + at_run + harmless == attempts


def hungry() -> Model:
    """937 bytes that ask for a gigabyte per picture, in tasks of pool threads."""
    nodes = [
        Node("null", "data"),
        Node("upsampling", "u", ((0, 0),), {"scale": "2048"}),
        Node("max_pool2d", "c", ((1, 0),), {"pool_size": "(3, 3)", "strides": "(2, 2)"}),
        Node("max", "s", ((2, 0),), {"axis": "(2, 3)", "keepdims": "True"}),
    ]
    return Model(nodes, [(3, 0)], {}, {"data": 8}, (1, 1, 4, 4))


@counts_memory
@pytest.mark.parametrize("megabytes", [400, 800, 1200])
def test_a_model_that_outgrows_the_machine(megabytes: int, tmp_path) -> None:
    """Batch 4 on two threads under a limit of address space: `CVMError`, and then the process runs another model."""
    big, small = save(tmp_path / "big", hungry()), save(tmp_path / "small", native_checks.detector())
    code = (
        "import resource, sys, numpy, cvm, cvm.runtime\n"
        "big, small = cvm.load(sys.argv[1], threads=2, max_memory=2**40), cvm.load(sys.argv[2], threads=2)\n"
        "x = numpy.ones((4, 9, 6), numpy.int8)\n"
        "before = small(x)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20,) * 2)\n"
        "for _ in range(2):\n"
        "    try:\n        big(numpy.ones((4, 1, 4, 4), numpy.int8))\n"
        "    except cvm.CVMError as error:\n        print(error)\n"
        "assert all((a == b).all() for a, b in zip(before, small(x)))\n"
    )
    command = [sys.executable, "-c", code, str(big), str(small), str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert done.stdout.splitlines() == ["out of memory"] * 2
