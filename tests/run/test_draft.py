"""`mrt init`: the configuration that it writes runs as it is, or says what to look at."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mrt import cli
from mrt.config import load
from mrt.run.draft import draft


@pytest.mark.parametrize(
    ("name", "shape", "dataset", "sure"),
    [
        ("digits", (-1, 1, 8, 8), "digits", True),
        ("mnist", (-1, 1, 28, 28), "mnist", True),
        ("cifar_resnet20_v1", (-1, 3, 32, 32), "cifar10", False),
    ],
)
def test_shapes_are_read_off_the_files(
    project: Path, tmp_path: Path, name: str, shape: tuple[int, ...], dataset: str, sure: bool
) -> None:
    text, guessed = draft(project / "data", name, tmp_path / "net.ini")
    assert f"Run it with: mrt {tmp_path / 'net.ini'}" in text
    (tmp_path / "net.ini").write_text(text)
    config = load(tmp_path / "net.ini")
    assert config.default.only_shape == shape and config.calibration.dataset == dataset
    assert any("Input_shape" in line for line in guessed) is not sure


def test_what_it_comments_out_are_keys(project: Path, tmp_path: Path) -> None:
    text, _ = draft(project / "data", "cifar_resnet20_v1", tmp_path / "net.ini")
    (tmp_path / "net.ini").write_text(re.sub(r"^# (\w+=)", r"\1", text, flags=re.MULTILINE))
    pictures = load(tmp_path / "net.ini").dataset
    assert pictures is not None and pictures.scale == 255 and pictures.mean == (0.485, 0.456, 0.406)


def test_what_it_writes_runs(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in ("digits-symbol.json", "digits-0000.params"):
        shutil.copy(project / "data" / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "digits-0000.params"]) == 0
    assert capsys.readouterr().out == "digits.ini\nlook at: Dataset=digits: guessed by the shape\n"
    assert cli.main(["digits.ini", "--quiet", "--set", "EVALUATION.Iter_num=2"]) == 0
    assert (tmp_path / "mrt_out" / "digits_cvm" / "symbol").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: no none-symbol.json, none.json or none.onnx"),
        (["digits"], "digits.ini is there already; name another with -o, or give --force"),
        (["broken", "-o", "b.ini"], "broken.json: not a readable MXNet symbol"),
        (["digits", "-o", "none/../digits.ini/b.ini"], "digits.ini"),
    ],
)
def test_bad_input(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    for file in ("digits-symbol.json", "digits-0000.params"):
        shutil.copy(project / "data" / file, tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "broken.params").write_text("")
    (tmp_path / "digits.ini").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert (tmp_path / "digits.ini").read_text() == "mine"
