"""An evaluation in parts gives the figures of one in sequence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrt import cli
from mrt.datasets.metric import TopK
from mrt.report import Report
from mrt.run.judge import Judge
from mrt.run.recording import Batch, parts
from mrt.run.split_evaluation import _judge

SAME = ("accuracy", "agreement", "samples", "iterations", "bit_exact", "evaluated",
        "calibrated", "percent", "examples", "certificate", "dataset")  # fmt: skip


def figures(project: Path, out: Path, *arguments: str) -> dict[str, Any]:
    settings = [f"DEFAULT.Output_dir={out}", f"COMPILATION.Dump_dir={out}", "EVALUATION.Batch=70"]
    command = [str(project / "mrt" / "zoo" / "digits.ini"), "--quiet", *arguments]
    assert cli.main([*command, *(word for each in settings for word in ("--set", each))]) == 0
    found: dict[str, Any] = json.loads((out / "digits.report.json").read_text())
    return found


def test_parts_give_what_one_run_gives(project: Path, tmp_path: Path) -> None:
    whole, split = figures(project, tmp_path / "a"), figures(project, tmp_path / "b", "--jobs", "3")
    assert whole["samples"] == 500 and whole["iterations"] == 8 and whole["bit_exact"]["samples"] == 200
    assert {name: split[name] for name in SAME} == {name: whole[name] for name in SAME}
    # Against the float network, which this process may compute with other instructions than a fresh one.
    assert split["sqnr_db"] == pytest.approx(whole["sqnr_db"], rel=1e-5)
    assert split["throughput"]["cvm"] > 0 and split["latency_ms"]["float"] > 0


@pytest.mark.parametrize(("count", "batch", "most"), [(500, 70, 3), (50_000, 16, 7), (5, 16, 4), (64, 16, 4)])
def test_parts_are_whole_batches_and_cover_all_once(count: int, batch: int, most: int) -> None:
    found = parts(count, batch, most)
    assert 1 <= len(found) <= most and all(part.offset % batch == 0 for part in found)
    assert [part.offset + part.count for part in found] == [*(part.offset for part in found[1:]), count]


def test_fifty_thousand_pictures_are_judged_alike() -> None:
    random = np.random.default_rng(0)
    batches = []
    for start in range(0, 50_000, 160):
        count = min(160, 50_000 - start)
        scores = random.standard_normal((count, 10)).astype(np.float32)
        noisy = scores + 0.1 * random.standard_normal((count, 10)).astype(np.float32)
        batches.append(Batch(random.integers(0, 10, count), [scores], [noisy]))
    judge = Judge(lambda: TopK((1, 5)))
    merged, hits = Report(model="m"), TopK((1, 5))
    _judge(batches, judge, ["cvm"], merged)
    for batch in batches:
        hits.update(batch.labels, batch.integers[0])
    assert merged.samples == 50_000 and merged.accuracy["cvm"] == hits.values()


def test_a_part_that_fails_is_named(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(project / "mrt" / "zoo" / "digits.ini")
    command = [config, "--quiet", "--jobs", "2", "--set", f"DEFAULT.Output_dir={tmp_path}"]
    assert cli.main([*command, "--set", "QUANTIZATION.Dump=False"]) == 2
    assert (
        "an evaluation in parts needs the checkpoint of the quantize stage; set [QUANTIZATION] Dump=True"
        in capsys.readouterr().err
    )
