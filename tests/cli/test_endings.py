"""How the command ends where its surroundings fail: one line, status 2 (130 where interrupted), nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cvm_models
import pytest
from cvm.package import save_package

from mrt.errors import MRTError
from mrt.run.claim import claimed

CODE = "from mrt.main import main; import sys; sys.exit(main())"
TEXT = "[DEFAULT]\nModel_dir={folder}\nModel_name=net\nInput_shape=(-1,1,8,8)\n[CALIBRATION]\nDataset=digits\n"


def run(*arguments: str, stdout: int | None = None) -> tuple[int, str]:
    command = [sys.executable, "-W", "ignore", "-c", CODE, *arguments]
    ended = subprocess.run(command, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return ended.returncode, ended.stderr


def configuration(folder: Path) -> str:
    path = folder / "net.ini"
    path.write_text(TEXT.format(folder=folder))
    return str(path)


def test_a_full_standard_output(tmp_path: Path) -> None:
    save_package(tmp_path, cvm_models.small(), {}, None)
    full = os.open("/dev/full", os.O_WRONLY)
    assert run("ops", stdout=full) == (2, "mrt: standard output: No space left on device\n")
    inspect = [sys.executable, "-m", "cvm", "inspect", str(tmp_path)]
    ended = subprocess.run(inspect, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "cvm: standard output: No space left on device\n")
    os.close(full)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    status, told = run(configuration(tmp_path), "--set", f"DEFAULT.Model_name={'a' * 300}")
    assert status == 2
    assert told.endswith("a model's name is that of files, and takes at most 200 bytes\n") and told.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    status, told = run(configuration(tmp_path), "--quiet", "--set", f"DEFAULT.Output_dir={__file__}")
    assert status == 2
    assert told.startswith(f"mrt: {__file__}: cannot be written in (") and told.count("\n") == 1


def test_the_second_of_two_runs_names_the_first(tmp_path: Path) -> None:
    with claimed(tmp_path, "net"):
        status, told = run(configuration(tmp_path), "--quiet")
        assert status == 2
        assert told.startswith(f"mrt: {tmp_path}: another run (process {os.getpid()}) is writing net there")
        with claimed(tmp_path, "other"):
            pass
    with claimed(tmp_path, "net"):
        pass
    assert list(tmp_path.glob(".*")) == []


def test_a_claim_ends_with_the_process(tmp_path: Path) -> None:
    held = f"""
from pathlib import Path
from mrt.run.claim import claimed
with claimed(Path({str(tmp_path)!r}), "net"):
    print("held", flush=True)
    input()"""
    process = subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(MRTError, match=f"another run \\(process {process.pid}\\)"), claimed(tmp_path, "net"):
        pass
    process.kill()
    process.wait()
    with claimed(tmp_path, "net"):
        pass


@pytest.mark.parametrize("after", [0.3, 0.8, 1.6])
def test_an_interrupt_at_any_time(after: float, tmp_path: Path) -> None:
    """Also while what the command needs is still being imported, or when it has just said what is missing."""
    code = "from mrt.main import main; import sys; print('up', flush=True); sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, configuration(tmp_path), "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=300)
    missing = "mrt: Model_name=net: neither "
    assert told.count("\n") == 1, told
    assert (process.returncode, told) == (130, "mrt: interrupted\n") or (
        process.returncode == 2 and told.startswith(missing)
    )


SWALLOWED = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "mrt.cli":
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:
                pass
from mrt.main import main
sys.meta_path.insert(0, Finder())
sys.exit(main())
"""
AT_EXIT = """
import atexit, signal, sys
atexit.register(signal.raise_signal, signal.SIGINT)
from mrt.main import main
sys.exit(main())
"""


@pytest.mark.parametrize(("code", "expected"), [(SWALLOWED, (130, "mrt: interrupted\n")), (AT_EXIT, (0, ""))])
def test_an_interrupt_that_would_be_lost_or_told_at_length(code: str, expected: tuple[int, str]) -> None:
    """Within a module that catches whatever comes, and when all is done: Python would go on, or print a traceback."""
    command = [sys.executable, "-W", "ignore", "-c", code, "completion", "bash"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == expected
