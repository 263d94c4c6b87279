"""Folders with odd names, and disks that take nothing: a model, or one line."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cvm
import pytest

from mrt import cli

PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
DUMPS = ("PREPARE.Dump=True", "CALIBRATION.Dump=True", "QUANTIZATION.Dump=True", "EVALUATION.Iter_num=0")


def arguments(project: Path, folder: Path) -> list[str]:
    sets = [f"DEFAULT.Output_dir={folder}", f"COMPILATION.Dump_dir={folder}", *DUMPS]
    return [str(project / "mrt" / "zoo" / "digits.ini"), *(part for value in sets for part in ("--set", value))]


def test_a_folder_outside_utf_8_in_a_plain_locale(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff caf\xc3\xa9")
    command = [sys.executable, str(project / "mrt" / "main.py"), *arguments(project, folder)]
    done = subprocess.run(command, env={**os.environ, **PLAIN}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert cvm.load(folder / "digits_cvm").sha256


def test_a_full_disk_is_one_line_and_keeps_the_old_model(project: Path, tmp_path: Path) -> None:
    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    (tmp_path / "digits.prepare.params").write_bytes(b"old")
    command = [sys.executable, str(project / "mrt" / "main.py"), *arguments(project, tmp_path)]
    done = subprocess.run(command, preexec_fn=full, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("mrt: ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(said) == 1 and "cannot write" in said[0] and "File too large" in said[0]
    assert (tmp_path / "digits.prepare.params").read_bytes() == b"old"
    assert not list(tmp_path.glob(".cvm-*"))


@pytest.mark.parametrize("folder", ["/dev/null/results", "/proc/results"])
def test_a_folder_that_cannot_be_made_is_one_line(
    project: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments(project, Path(folder))) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mrt: ")]
    assert len(said) == 1 and folder in said[0]
