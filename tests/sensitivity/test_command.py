"""`mrt sensitivity CONFIG`: its files, what it reuses, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mrt import cli
from mrt.report.sensitivity import CAUSES


@pytest.fixture
def config(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The digits network in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    text = (project / "mrt" / "zoo" / "digits.ini").read_text()
    path = tmp_path / "digits.ini"
    path.write_text(text.replace("Model_dir=data", f"Model_dir={project / 'data'}\nOutput_dir={tmp_path / 'out'}"))
    os.utime(path, (1, 1))
    return path


def test_it_writes_a_report_a_table_and_a_chart(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sensitivity", str(config), "--pictures", "40"]) == 0
    captured = capsys.readouterr()
    out = config.parent / "out"
    assert f"report: {out / 'digits.sensitivity.json'}, " in captured.out
    report = json.loads((out / "digits.sensitivity.json").read_text())
    assert report["pictures"] == 40
    assert report["metric"] == "top1"
    assert report["float_score"] > 0.95
    assert len(report["operators"]) == 3
    for operator in report["operators"]:
        assert set(operator["causes"]) == set(CAUSES)
        assert 0 < operator["only"]["noise"] < report["quantized"]["noise"]
        assert operator["left"]["noise"] < report["quantized"]["noise"]
        assert operator["name"] in captured.out
        assert operator["name"] in (out / "digits.sensitivity.md").read_text()
    png = (out / "digits.sensitivity.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n")
    assert len(png) > 5000


def test_it_reuses_checkpoints_that_fit(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sensitivity", str(config), "--pictures", "10"]
    assert cli.main(command) == 0
    assert "calibrate:" in capsys.readouterr().err
    assert cli.main(command) == 0
    again = capsys.readouterr().err
    assert "up to CALIBRATION" in again
    assert "calibrate:" not in again
    assert cli.main([*command, "--set", "CALIBRATION.Calibrate_num=1"]) == 0, "what was asked for may differ"
    assert "calibrate:" in capsys.readouterr().err
    assert cli.main([*command, "--set", "CALIBRATION.Calibrate_num=1"]) == 0
    assert "calibrate:" not in capsys.readouterr().err, "now they are of this"
    (config.parent / "out" / "digits.prepare.origin.json").unlink()
    assert cli.main([*command, "--set", "CALIBRATION.Calibrate_num=1"]) == 0
    assert "prepare:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pictures", "0"], "--pictures"),
        (["--pictures", "few"], "--pictures"),
        (["--set", "QUANTIZATION.Restore_name=digits_conv0_fwd"], "Restore_name"),
        (["--set", "DEFAULT.Model_name=nobody"], "nobody"),
        (["--start", "CALIBRATION"], "no such checkpoint"),
    ],
)
def test_bad_input_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    try:
        status = cli.main(["sensitivity", str(config), "--quiet", *arguments])
    except SystemExit as error:  # argparse's way
        status = int(str(error.code))
    captured = capsys.readouterr()
    assert status == 2
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err
    assert not list(config.parent.glob("out/*.sensitivity.*"))
