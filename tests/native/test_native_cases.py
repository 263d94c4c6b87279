"""The program that carries recorded cases to other machines: here, and on ARM where it was built."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import everywhere
import native_models
import numpy as np
import pytest
from cvm import formal
from everywhere_record import Recorder
from native_checks import compiler
from native_compare import AVAILABLE
from test_native_c_api import INSTALLED, LIBRARY

PROGRAM = Path(__file__).resolve().parents[2] / "python" / "cvm" / "native" / "check" / "cases.cpp"


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    assert LIBRARY
    out = tmp_path_factory.mktemp("cases") / "cases"
    include = PROGRAM.parents[1]
    command = [compiler(), "-std=c++17", f"-I{include}", str(PROGRAM), str(LIBRARY), f"-Wl,-rpath,{INSTALLED / 'lib'}"]
    subprocess.run([*command, "-o", str(out)], check=True)
    return out


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "cases"
    with path.open("wb") as file:
        recorder = Recorder(file)
        for seed in (1, 5):
            model = native_models.random_net(np.random.default_rng(seed))
            x = np.random.default_rng(2).integers(-127, 128, (2, *model.input_shape[1:])).astype(np.int32)
            for _ in range(2):  # the second is the first
                recorder.add(f"net::{seed}", model, x, formal.run(model, x))
        assert recorder.counts == {"net": 2}
    return path


@pytest.mark.parametrize("kernels", AVAILABLE)
def test_recorded_cases_are_equal_on_every_table(program: Path, cases: Path, kernels: str) -> None:
    environment = {**os.environ, "CVM_KERNELS": kernels}
    done = subprocess.run([program, cases, "2"], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith(f"{kernels} kernels: 2 cases, ") and done.stdout.endswith(" 0 cases differ\n")


def test_one_wrong_integer_is_found(program: Path, cases: Path, tmp_path: Path) -> None:
    content = bytearray(cases.read_bytes())
    content[-4] ^= 1  # the last value of the last output
    (tmp_path / "wrong").write_bytes(content)
    done = subprocess.run([program, tmp_path / "wrong"], capture_output=True, text=True)
    assert done.returncode == 1 and "net::5: output" in done.stdout and "1 cases differ" in done.stdout
    (tmp_path / "short").write_bytes(content[:-1])
    done = subprocess.run([program, tmp_path / "short"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "the file of cases ends early\n"


@pytest.mark.parametrize("processor", everywhere.PROCESSORS, ids=lambda processor: processor.kernels)
def test_recorded_cases_are_equal_on_arm(processor: everywhere.Processor, cases: Path) -> None:
    built = everywhere.BUILD / processor.target.name / "cases"
    if not built.exists():
        pytest.skip("the runtime was not built for ARM: make test-arm")
    try:
        line = everywhere.run(processor, built, cases)
    except everywhere.MissingError as error:
        pytest.skip(str(error))
    assert line.endswith(" 0 cases differ")
