"""The C interface: the shipped example is compiled as C, linked with the shipped library, and run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cvm
import cvm._native
import cvm_models
import numpy as np
import pytest
from cvm import formal
from native_compare import save

SOURCE = Path(cvm.__file__).resolve().parent


@pytest.fixture(scope="module")
def example(project, tmp_path_factory) -> Path:
    installed = Path(cvm._native.__file__).resolve().parent
    sources = project / "python" / "cvm" / "native"
    include = installed / "include" if (installed / "include" / "cvm.h").exists() else sources / "include"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "a C compiler built the runtime, so there is one"
    program = tmp_path_factory.mktemp("c") / "run"
    library = installed / "lib"
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", str(sources / "example" / "run.c")]
    command += [f"-I{include}", f"-L{library}", "-lcvm", f"-Wl,-rpath,{library}", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def test_example_gives_the_integers_of_formal(example, tmp_path) -> None:
    model = cvm_models.small()
    save(tmp_path, model)
    x = cvm_models.batch_of(model, 1)
    (tmp_path / "x").write_bytes(x.astype(np.int8).tobytes())
    subprocess.run([example, tmp_path, tmp_path / "x", tmp_path / "y"], check=True)
    want = formal.run(model, x)[0]
    got = np.frombuffer((tmp_path / "y").read_bytes(), np.int32).reshape(want.shape)
    np.testing.assert_array_equal(got, want)


def test_failures_have_a_reason(example, tmp_path) -> None:
    done = subprocess.run([example, tmp_path / "absent", "x", "y"], capture_output=True, text=True)
    assert done.returncode == 2 and "is not a model directory" in done.stderr and done.stderr.count("\n") == 1
