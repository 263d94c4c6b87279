"""`mrt report`: reports are found and read, and put into one page, a Markdown table, a CSV file."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from mrt import cli
from mrt.report import OfEach, Report, SizeBytes
from mrt.report.charts import Point, pareto
from mrt.report.interval import paired, unpaired
from mrt.report.published import key, read_published

PUBLISHED = "model,table,float_top1_or_map,cvm_top1,samples\nNET_A,1,77.39,,50080\nnet.a,2,77.39,76.23,50080\n"


def report(name: str, **more: object) -> Report:
    accuracy = {executor: {"top1": 0.9, "top5": 0.99} for executor in ("float", "quantized", "cvm")}
    values = {"dataset": "digits", "samples": 1000, "iterations": 10, "accuracy": accuracy, "agreement": 0.99}
    latency, size = OfEach(float=2.0, cvm=0.5), SizeBytes(float=4_000_000, cvm=1_000_000)
    return Report.model_validate({"model": name, **values, "latency_ms": latency, "size_bytes": size, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("net_a", "net_b"):
        report(name).write(tmp_path / "runs")
    (tmp_path / "published.csv").write_text(PUBLISHED)
    return tmp_path


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    assert cli.main(["report", str(folder / "runs"), "-o", str(folder / "r.html")]) == 0
    text = (folder / "r.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', text) and "@import" not in text
    assert text.count('<tr id="n') == 2
    assert ">net_a<" in text and ">+0.00<" in text and "-0.65 to +0.65" in text


def test_what_a_name_says_is_text(tmp_path: Path) -> None:
    report("n", dataset="<script>alert(1)</script>").write(tmp_path)
    report("m").write(tmp_path)
    assert cli.main(["report", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 0
    assert "<script>alert" not in (tmp_path / "r.html").read_text()


def test_the_twins_have_the_published_columns(folder: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--csv", str(folder / "r.csv"), "--markdown", "-", "--published", str(folder / "published.csv")]
    assert cli.main(["report", str(folder / "runs"), *arguments]) == 0
    with (folder / "r.csv").open() as ours, (shared / "docs" / "published-results.csv").open() as theirs:
        rows, header = list(csv.DictReader(ours)), next(csv.reader(theirs))
    assert list(rows[0]) == header
    assert [(row["model"], row["table"], row["cvm_top1"]) for row in rows] == [
        ("net_a", "mrt", "90.00"), ("net.a", "2", "76.23"), ("net_b", "mrt", "90.00"),
    ]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert "evalfunc" in lines[0] and "top1=90.00% top5=99.00% 0.5 ms" in lines[2]
    assert "net.a (published)" in lines[3]


def test_the_real_published_table_is_read(shared: Path) -> None:
    found = read_published(shared / "docs" / "published-results.csv")
    entry = found[key("mobilenet1.0")]
    assert (entry.table, entry.float_top1_or_map, entry.cvm_top1) == ("2", 73.29, 65.20)
    assert entry.lost == pytest.approx(8.09)
    assert found["trec"].integer == 97.63


def test_an_older_report_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "runs" / "net_a.report.json"
    old = json.loads(path.read_text())
    for name in ("report_version", "layers", "fused", "spreads", "examples"):
        del old[name]
    path.write_text(json.dumps(old))
    assert cli.main(["report", str(path), "--csv", "-"]) == 0
    assert "net_a,mrt,10,90.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"report_version": 99}, "net_a.report.json: a report of version 99; this MRT reads up to version 2"),
        ({"report_version": "x"}, "a report of version x"),
        ({"acuracy": {}}, "damaged, or of another version of MRT: acuracy: Extra inputs"),
        ({"samples": "many"}, "samples: Input should be a valid integer"),
        (None, "net_a.report.json: damaged report"),
    ],
)
def test_another_version_is_refused_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object] | None, message: str
) -> None:
    path, page = folder / "runs" / "net_a.report.json", folder / "r.html"
    path.write_text("[" if change is None else json.dumps({**json.loads(path.read_text()), **change}))
    page.write_text("before")
    assert cli.main(["report", str(folder / "runs"), "-o", str(page)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert page.read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "-o", "r.html"], "none: no such file or folder"),
        (["empty", "-o", "r.html"], "empty: no report in it; a run leaves NAME.report.json in its Output_dir"),
        (["published.csv", "-o", "r.html"], "published.csv: not a report"),
        (["runs"], "report: nothing to write; give -o FILE.html"),
        (["runs", "--csv", "runs"], "runs"),
        (["runs", "--csv", "-", "--published", "none.csv"], "none.csv: cannot be read: No such file"),
        (["runs", "--csv", "-", "--published", "bad.csv"], "bad.csv, line 3: float_top1_or_map='x' is not a number"),
        (["runs", "--csv", "-", "--published", "runs/net_a.report.md"], "no column model"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    Path("empty").mkdir()
    Path("bad.csv").write_text("model,float_top1_or_map\na,1\nb,x\n")
    assert cli.main(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_the_same_name_twice_is_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report("net_a").write(folder / "runs" / "random_weights")
    assert cli.main(["report", str(folder / "runs"), "--csv", "-"]) == 0
    names = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == ["net_b", "random_weights/net_a", "runs/net_a"]


def test_the_front_is_what_nothing_beats() -> None:
    points = [Point(n, n, ms, p) for n, ms, p in (("a", 1, 50), ("b", 2, 60), ("c", 2, 55), ("d", 3, 60), ("e", 4, 61))]
    assert [point.name for point in pareto(points)] == ["a", "b", "e"]


def test_intervals_of_differences() -> None:
    low, high = paired(0.0, 0.0, 10_000)
    assert high == -low == pytest.approx(1.96e-4, rel=0.01), "none differs of 10,000: 2 at most, roughly"
    low, high = paired(0.01, 0.05, 1000)
    assert (low, high) == pytest.approx((-0.0039, 0.0239), abs=2e-4)
    low, high = unpaired(0.5, 0.5, 100, 100)
    assert (low, high) == pytest.approx((-0.1372, 0.1372), abs=1e-3)
