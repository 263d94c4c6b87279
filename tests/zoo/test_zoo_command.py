"""`mrt zoo list`, `check`, `run` and `table`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mrt import cli, zoo
from mrt.report import BitExact, Report
from mrt.tasks import Finished, Local, Task
from mrt.zoo.families import FAMILIES, Family, result
from mrt.zoo.results import Results
from mrt.zoo.table import FAMILIES_TITLE, families


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without datasets and GluonCV downloads, and a folder to work in."""
    monkeypatch.setenv("MRT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(text: str, name: str) -> str:
    """The line of a table that starts with a name."""
    (line,) = [line for line in text.splitlines() if re.match(rf"^[│|]\s*{re.escape(name)}\s", line)]
    return line


def test_list_knows_weights_and_last_results(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(nothing / "models" / "zoo")
    results.save("vgg19", Report(model="vgg19", weights="random", agreement=0.75, sqnr_db=31.46))
    results.fail("alexnet", "no such thing")
    assert cli.main(["zoo", "list"]) == 0
    out = capsys.readouterr().out
    assert all(row(out, name) for name in zoo.names())
    assert "3x224x224" in row(out, "vgg19") and "imagenet" in row(out, "vgg19")
    assert "agreement with float 75.00%, SQNR 31.5 dB" in row(out, "vgg19")
    assert "not found" in row(out, "vgg19") and "failed: no such thing" in row(out, "alexnet")
    assert "not found" not in row(out, "digits")


def test_weights_in_the_given_folder_or_downloaded_earlier_are_found(
    nothing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models, cache = nothing / "mine", nothing / "mxnet" / "models"
    for folder, name in (
        (models, "alexnet-symbol.json"),
        (models, "alexnet-0000.params"),
        (cache, "vgg11-dd221b16.params"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert cli.main(["zoo", "list", "--models", str(models)]) == 0
    out = capsys.readouterr().out
    assert "not found" not in row(out, "alexnet")
    assert "not found" not in row(out, "vgg11")
    assert "not found" in row(out, "vgg13")


def test_check_says_what_is_missing(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "check", "digits"]) == 0
    assert capsys.readouterr().out.endswith("all 1 can be run\n")
    assert cli.main(["zoo", "check", "digits", "quickdraw"]) == 1
    out = capsys.readouterr().out
    assert row(out, "digits").count("ok") == 4
    assert row(out, "quickdraw").count("ok") == 2
    assert "CLASS.npy" in out
    assert "1 of 2 cannot be run as they are: quickdraw (weights, dataset)" in out


def test_check_fails_where_a_network_cannot_be_had(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "check", "tf_mobilenetv2_1.0"]) == 1
    assert "tf_mobilenetv2_1.0 (weights, dataset, prepare)" in capsys.readouterr().out


def test_run_goes_on_after_a_failure_and_table_tells_all(nothing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = ["tf_mobilenetv2_1.0", "digits", "quickdraw"]
    assert cli.main(["zoo", "run", *wanted, "--random-weights", "--pictures", "20", "--jobs", "2"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert sorted(line.split(":")[0] for line in lines[:3]) == sorted(wanted)
    assert lines[-1] == "1 of 3 failed: tf_mobilenetv2_1.0"
    assert lines[-2] == "results: models/zoo, models/zoo/report.html"
    assert all(f">{name}</a>" in Path("models/zoo/report.html").read_text() for name in wanted[1:])
    results = Results(nothing / "models" / "zoo")
    digits, quickdraw = results.report("digits"), results.report("quickdraw")
    assert digits and digits.weights == "trained" and digits.accuracy["cvm"]["top1"] > 0.9
    assert digits.samples == 20 and (digits.peak_memory_bytes or 0) > 1e7
    assert quickdraw and quickdraw.weights == "random" and quickdraw.accuracy == {}
    assert results.report("tf_mobilenetv2_1.0") is None

    assert cli.main(["zoo", "table", "--file", str(nothing / "zoo.md")]) == 0
    text = (nothing / "zoo.md").read_text()
    assert f"{digits.accuracy['cvm']['top1']:.2%}" in row(text, "digits")
    assert "random" in row(text, "quickdraw") and "synthetic" in row(text, "quickdraw")
    assert "0 of 20" in row(text, "digits") and "0 of 2 " in row(text, "quickdraw")
    assert "- tf_mobilenetv2_1.0: " in text
    assert all(row(text, name) for name in zoo.names())


def given(tasks: Sequence[Task], started: Callable[[str], None], report: Report) -> Iterator[Finished]:
    for task in tasks:
        started(task.name)
        yield Finished(task.name, report)


def test_a_model_that_is_not_exact_is_a_failure(
    nothing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(model="digits", bit_exact=BitExact(samples=64, mismatches=1))
    monkeypatch.setattr(Local, "run", lambda self, tasks, started: given(tasks, started, report))
    assert cli.main(["zoo", "run", "digits"]) == 1
    assert "digits: failed: the compiled model differs" in capsys.readouterr().out
    assert cli.main(["zoo", "table", "--file", str(nothing / "zoo.md")]) == 0
    assert "1 of 64" in row((nothing / "zoo.md").read_text(), "digits")


def test_a_success_clears_the_failure(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.fail("digits", "broken")
    results.save("digits", Report(model="digits", sqnr_db=30.0))
    assert results.failure("digits") is None
    assert results.summary("digits") == "SQNR 30.0 dB"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "resnet50v1"], "did you mean resnet50_v1?"),
        (["run", "digits", "--pictures", "0"], "whole number"),
        (["run", "digits", "--models", "nowhere"], "no such folder"),
        (["table"], "no results"),
        (["run", "digits", "--output", "/dev/null/results"], "cannot be written in"),
        ([], "ACTION"),
    ],
)
def test_refusals(nothing: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    status: str | int | None
    try:
        status = cli.main(["zoo", *arguments])
    except SystemExit as error:  # of the argument parser
        status = error.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_damaged_report_is_named(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = nothing / "models" / "zoo"
    folder.mkdir(parents=True)
    (folder / "digits.report.json").write_text("{")
    assert cli.main(["zoo", "list"]) == 2
    assert "digits.report.json: damaged report" in capsys.readouterr().err


def test_what_is_done_is_not_done_again(nothing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["zoo", "run", "digits", "--pictures", "20"]
    assert cli.main(command) == 0
    path = nothing / "models" / "zoo" / "digits.report.json"
    first = path.stat().st_mtime_ns
    assert cli.main(command) == 0
    assert "digits: done before: " in capfd.readouterr().out and path.stat().st_mtime_ns == first
    assert cli.main(["zoo", "run", "digits", "--pictures", "21"]) == 0
    second = path.stat().st_mtime_ns
    assert second > first, "made from something else"
    assert cli.main(["zoo", "run", "digits", "--pictures", "21", "--again"]) == 0
    assert path.stat().st_mtime_ns > second


def test_the_documentation_has_every_network(project: Path) -> None:
    text = (project / "docs" / "zoo.md").read_text()
    assert all(row(text, name) for name in zoo.names())


def test_the_table_of_families_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "zoo.md"
    assert families(path) == ""
    path.write_text(f"networks\n\n{FAMILIES_TITLE}\n\n| pose |\n")
    assert families(path) == f"\n{FAMILIES_TITLE}\n\n| pose |\n"


def test_every_family_has_a_result_or_a_refusal(project: Path) -> None:
    text = (project / "docs" / "zoo.md").read_text().split(FAMILIES_TITLE)[1]
    for family in FAMILIES:
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {family.name} "))
        assert family.network in line and ("compiled: " in line or "refused: " in line)


def test_a_builder_that_raises_anything_is_refused() -> None:
    broken = Family("broken", "darknet53", (-1, 3, 32, 32))
    assert result(broken).startswith("refused: GluonCV cannot build darknet53 (")
