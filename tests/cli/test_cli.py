"""The command line: dispatch, exit statuses, and errors in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import mrt
from mrt import cli
from mrt.config import Config, Start
from mrt.errors import MRTError
from mrt.report import Progress, Report

MAIN = Path(mrt.__file__).parent / "main.py"
SMALL = "[DEFAULT]\nModel_name=net\nModel_dir=.\nInput_shape=(-1, 1, 8, 8)\n[CALIBRATION]\nDataset=digits\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.ini").write_text(SMALL)
    return "net.ini"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that the pipeline was run with, in its place."""
    seen: list[Config] = []

    def run(config: Config, progress: Progress) -> Report:
        seen.append(config)
        with progress.stage("prepare"):
            pass
        return Report(model=config.default.model_name, accuracy={"float": {"top1": 0.5}}, seconds=progress.seconds)

    replace_pipeline(monkeypatch, run)
    return seen


def replace_pipeline(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    module = types.ModuleType("mrt.pipeline")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mrt.pipeline", module)
    monkeypatch.setattr(mrt, "pipeline", module, raising=False)


def test_a_configuration_runs_the_pipeline(config: str, runs: list[Config], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([config, "--set", "CALIBRATION.Batch=7", "--start", "calibration", "--device", "cpu"]) == 0
    assert runs[0].calibration.batch == 7
    assert runs[0].default.start is Start.CALIBRATION
    captured = capsys.readouterr()
    assert captured.out.startswith("net, in integers")
    assert "50.00% float" in captured.out
    assert f"report: {Path.cwd()}/net.report.json" in captured.out
    assert Path("net.report.json").is_file()
    assert Path("net.report.md").is_file()
    assert "prepare: 0.0 s" in captured.err, "one line per finished stage, off a terminal"


def test_run_may_be_said(config: str, runs: list[Config]) -> None:
    assert cli.main(["run", config]) == 0
    assert cli.main(["--set", "DEFAULT.Model_name=other", config]) == 0
    assert [run.default.model_name for run in runs] == ["net", "other"]


@pytest.mark.parametrize("arguments", [["--quiet"], ["--set", "DEFAULT.Verbosity=30"]])
def test_quiet(config: str, runs: list[Config], capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main([config, *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "report: " in captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.ini"], "mrt: none.ini: no such configuration file"),
        (["net.ini", "--set", "CALIBRATION.Batch=0"], "mrt: --set CALIBRATION.Batch=0: should be greater than"),
        (["net.ini", "--bogus"], "mrt: unrecognized arguments: --bogus; see mrt --help"),
        (["net.ini", "--device", "tpu"], "mrt: argument --device: invalid choice: 'tpu'"),
        ([], "mrt: the following arguments are required: COMMAND; see mrt --help"),
        (["train", "net.ini"], "mrt: the configuration has no [TRAIN] section"),
        (["train", "net.ini", "--set", "TRAIN.Network=nothing_such"], "mrt: unknown network 'nothing_such'"),
        (["train", "net.ini", "--set", "TRAIN.Network=lenet", "--set", "TRAIN.Dataset=x"], "mrt: unknown dataset 'x'"),
    ],
)
def test_bad_input_is_one_line(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    try:
        status: object = cli.main(arguments)
    except SystemExit as stop:  # argparse's own way out
        status = stop.code
    assert status == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MRTError("the node conv0\nis unknown"), 2, "mrt: the node conv0 is unknown\n"),
        (KeyboardInterrupt(), 130, "mrt: interrupted\n"),
    ],
)
def test_errors_of_the_pipeline(
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def run(config: Config, progress: Progress) -> Report:
        raise error

    replace_pipeline(monkeypatch, run)
    assert cli.main([config]) == status
    assert capsys.readouterr().err == message
    assert not Path("net.report.json").exists()


def test_a_bug_is_not_hidden(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(config: Config, progress: Progress) -> Report:
        raise ZeroDivisionError

    replace_pipeline(monkeypatch, run)
    with pytest.raises(ZeroDivisionError):
        cli.main([config])


def test_train_writes_weights_where_run_looks(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", config, "--set", "TRAIN.Network=digits_cnn", "--set", "TRAIN.Epochs=1"]
    assert cli.main([*arguments, "--set", "TRAIN.Learning_rate=0.01"]) == 0
    assert {path.name for path in Path().iterdir()} == {"net.ini", "net-symbol.json", "net-0000.params"}
    assert "top1=" in capsys.readouterr().out


def test_main_py_from_anywhere(tmp_path: Path) -> None:
    """The script's own folder, which has modules named like others' (`ops`, `config`), stays off the path."""
    arguments = [sys.executable, str(MAIN), "none.ini"]
    result = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "mrt: none.ini: no such configuration file\n"


COMMANDS = (
    "run",
    "sensitivity",
    "ablate",
    "train",
    "ops",
    "zoo",
    "report",
    "compare",
    "verify",
    "export",
    "init",
    "inspect",
    "diff",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert "Example: " in capsys.readouterr().out


def test_a_shell_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="shtab is not installed")
    for name in ("net.ini", "net-symbol.json"):
        (tmp_path / name).touch()
    assert cli.main(["completion", "bash"]) == 0
    script = (
        capsys.readouterr().out
        + """
COMP_WORDS=(mrt %s) COMP_CWORD=%d; _shtab_mrt; echo "${COMPREPLY[@]}"
"""
    )
    completed = {
        "co": "compare completion",
        "compare --max-s": "--max-slowdown",
        "zoo r": "run",
        "zoo run dig": "digits",
        "inspect net-s": "net-symbol.json",
        "run net.i": "net.ini",
    }
    for words, found in completed.items():
        command = ["bash", "-c", script % (words, len(words.split()))]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        assert said.strip() == found
    assert "-o default" in script, "files after mrt itself"
