"""The shipped question classifiers, on the real questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from mrt import pipeline, zoo
from mrt.config import load
from mrt.report import Progress


@pytest.mark.parametrize("name", ["trec", "trec_lstm"])
def test_integer_question_classifiers_are_as_good_as_float_ones(name: str, shared: Path, tmp_path: Path) -> None:
    overrides = [
        f"DEFAULT.Output_dir={tmp_path}",
        f"COMPILATION.Dump_dir={tmp_path}",
        f"CALIBRATION.Dataset_dir={shared / 'data'}",
        f"EVALUATION.Dataset_dir={shared / 'data'}",
    ]
    report = pipeline.run(load(zoo.configuration(name), overrides), Progress(Console(quiet=True)))
    assert report.samples == 500
    assert report.bit_exact is not None
    assert (report.bit_exact.samples, report.bit_exact.mismatches) == (200, 0)
    float_, integer = (report.accuracy[executor]["top1"] for executor in ("float", "cvm"))
    assert float_ >= 0.88
    assert integer >= float_ - 0.005
