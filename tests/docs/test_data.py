"""The example of docs/data.md runs as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mrt import cli

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_with_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "data.md").read_text()
    files = dict(re.findall(r"^`(my_data\.py|digits\.ini)`:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert set(files) == {"my_data.py", "digits.ini"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["digits.ini", "--quiet", "--set", f"DEFAULT.Model_dir={ROOT / 'data'}"]) == 0
    report = json.loads((tmp_path / "out" / "digits.report.json").read_text())
    margins = [report["accuracy"][name]["margin"] for name in ("float", "quantized", "cvm")]
    assert margins[1] == margins[2]
    assert margins[0] > 1 and abs(margins[1] - margins[0]) < 0.05 * margins[0]
    assert report["samples"] == 599 and report["evaluated"]["available"] == 599
    assert report["calibrated"]["samples"] == 300
    assert f"margin={margins[0]:.4g}" in (tmp_path / "out" / "digits.report.md").read_text(), "in its own unit"
