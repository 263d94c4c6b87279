"""The report's JSON and its row of MRT's published table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pydantic
import pytest

from mrt.report import BitExact, OfEach, Report, SizeBytes

FULL = Report(
    model="resnet",
    dataset="cifar10",
    samples=10000,
    iterations=100,
    accuracy={
        "float": {"top1": 0.9288, "top5": 0.9978},
        "quantized": {"top1": 0.9282, "top5": 0.9975},
        "cvm": {"top1": 0.928, "top5": 0.9975},
    },
    agreement=0.991,
    sqnr_db=38.25,
    bit_exact=BitExact(samples=10000, mismatches=0),
    latency_ms=OfEach(float=1.35, quantized=2.1, cvm=0.27),
    size_bytes=SizeBytes(float=1101000, cvm=276000),
    seconds={"prepare": 0.5},
    versions={"mrt": "0.1.0"},
    configuration={"DEFAULT": {"Model_name": "resnet"}},
    certificate={"nodes": 99, "proven": True},
)


def test_json_has_every_part_and_reads_back() -> None:
    plain = json.loads(FULL.json_text())
    assert plain["accuracy"]["cvm"] == {"top1": 0.928, "top5": 0.9975}
    assert plain["latency_ms"] == {"float": 1.35, "quantized": 2.1, "cvm": 0.27}
    assert plain["size_bytes"] == {"float": 1101000, "cvm": 276000}
    assert plain["bit_exact"] == {"samples": 10000, "mismatches": 0}
    assert Report.model_validate(plain) == FULL


def test_numbers_that_are_not_finite_become_null() -> None:
    report = Report(
        model="net",
        accuracy={"cvm": {"top1": math.nan}},
        sqnr_db=math.inf,
        certificate={"peak": np.float32("inf"), "bits": np.int64(31), "of": (np.float64(0.5),), "file": Path("a")},
    )
    plain = json.loads(report.json_text(), parse_constant=pytest.fail)
    assert plain["accuracy"] == {"cvm": {"top1": None}}
    assert plain["sqnr_db"] is None
    assert plain["certificate"] == {"peak": None, "bits": 31, "of": [0.5], "file": "a"}


def test_markdown_has_mrts_columns() -> None:
    header, _, row = FULL.markdown().splitlines()
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "model name",
        "iteration",
        "evalfunc",
        "quantize",
        "time(ms)",
        "cvm",
        "total sample",
    ]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "resnet",
        "100",
        "top1=92.88% top5=99.78%",
        "top1=92.82% top5=99.75%",
        "1.35 ms / 2.1 ms",
        "top1=92.80% top5=99.75% 0.27 ms",
        "10000",
    ]


def test_markdown_of_an_empty_report_has_dashes() -> None:
    report = Report(model="net", accuracy={"float": {"top1": math.nan}})
    row = [cell.strip() for cell in report.markdown().splitlines()[2].strip("|").split("|")]
    assert row == ["net", "0", "top1=-", "-", "- / -", "-", "0"]


def test_write_makes_both_files(tmp_path: Path) -> None:
    paths = FULL.write(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["resnet.report.json", "resnet.report.md"]
    assert paths[0].read_text() == FULL.json_text()
    assert paths[1].read_text() == FULL.markdown()


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(pydantic.ValidationError):
        Report(model="net", acuracy={})  # type: ignore[call-arg]
