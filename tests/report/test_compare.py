"""`mrt compare`: what changed, and exit status 1 where it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrt import cli
from mrt.report import OfEach, Report, SizeBytes


def written(folder: Path, name: str, top1: float, ms: float, **more: object) -> None:
    accuracy = {"float": {"top1": 0.9}, "cvm": {"top1": top1}} if top1 else {}
    values = {"samples": 10_000, "agreement": 0.99, "sqnr_db": 40.0, **more}
    latency, size = OfEach(cvm=ms), SizeBytes(cvm=1_000_000)
    Report.model_validate(
        {"model": name, "accuracy": accuracy, "latency_ms": latency, "size_bytes": size, **values}
    ).write(folder)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = Path("a"), Path("b")
    written(a, "net", 0.900, 1.0)
    written(b, "net", 0.894, 1.2)
    written(a, "seeded", 0, 1.0, agreement=0.98, weights="random")
    written(b, "seeded", 0, 1.0, agreement=0.97, weights="random")


@pytest.mark.parametrize(
    ("bounds", "status", "said"),
    [
        ([], 0, []),
        (["--max-drop", "1"], 0, []),
        (["--max-drop", "0.5"], 1, ["net: 0.60 points lost, 0.5 allowed", "seeded: 1.00 points lost, 0.5 allowed"]),
        (["--max-drop", "0.6"], 1, ["seeded: 1.00 points lost, 0.6 allowed"]),
        (["--max-slowdown", "1.25"], 0, []),
        (["--max-slowdown", "1.1"], 1, ["net: 1.20 times slower, 1.1 allowed"]),
    ],
)
def test_bounds(
    both: None, capsys: pytest.CaptureFixture[str], bounds: list[str], status: int, said: list[str]
) -> None:
    assert cli.main(["compare", "a", "b", *bounds]) == status
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("bound")] == [f"bound passed: {text}" for text in said]
    (row,) = [line for line in lines if line.startswith("| net ")]
    for part in ("90.00% -> 89.40%", "-0.60 (-1.44 to +0.24)", "1 -> 1.2", "1.20", "| 1.00 "):
        assert part in row


def test_what_went_missing_is_no_success(both: None, capsys: pytest.CaptureFixture[str]) -> None:
    written(Path("a"), "gone", 0.9, 1.0)
    written(Path("b"), "new", 0.9, 1.0)
    written(Path("b"), "net", 0, 1.0)
    assert cli.main(["compare", "a", "b"]) == 0
    assert cli.main(["compare", "a", "b", "--max-drop", "5"]) == 1
    out = capsys.readouterr().out
    for part in ("only in A: gone", "only in B: new", "bound passed: gone: B has no report",
                 "bound passed: net: B has no accuracy"):  # fmt: skip
        assert part in out


def test_two_files_are_a_pair_whatever_they_are_called(both: None, capsys: pytest.CaptureFixture[str]) -> None:
    written(Path("c"), "other", 0.95, 1.0)
    assert cli.main(["compare", "a/net.report.json", "c/other.report.json", "--max-drop", "0"]) == 0
    assert "net / other" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "none"], "none: no such file or folder"),
        (["a", "c"], "compare: a and c have no network in common"),
        (["a", "b", "--max-drop", "-1"], "argument --max-drop: '-1' is not a number of 0 or more"),
        (["a", "b", "--max-slowdown", "nan"], "'nan' is not a number of 0 or more"),
        (["a"], "the following arguments are required: B"),
    ],
)
def test_bad_input(both: None, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    written(Path("c"), "other", 0.9, 1.0)
    written(Path("c"), "another", 0.9, 1.0)
    try:
        status: object = cli.main(["compare", *arguments])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2 and captured.out == ""
    assert message in captured.err and captured.err.count("\n") == 1
