"""What a run prints on a terminal."""

from __future__ import annotations

import pytest

from mrt.report import BitExact, OfEach, Report, SizeBytes
from mrt.report.interval import wilson
from mrt.report.summary import summary

REPORT = Report(
    model="a_network_of_a_name",
    samples=900,
    accuracy={"float": {"top1": 0.8844}, "cvm": {"top1": 0.8867}, "quantized": {"top1": 0.8867}},
    agreement=0.9844,
    sqnr_db=26.4,
    sqnr_outputs_db=[26.4, None],
    bit_exact=BitExact(samples=200, mismatches=0),
    latency_ms=OfEach(**{"float": 8.0, "cvm": 0.8}),
    size_bytes=SizeBytes(**{"float": 14_000_000, "cvm": 4_000_000}),
    certificate={"ok": True, "peak": 1, "verdict": "no value of any node can leave 32 bits " * 3},
    model_dir="/a/folder",
)


def test_it_fits_80_columns_and_says_everything() -> None:
    text = summary(REPORT)
    assert max(map(len, text.splitlines())) <= 80
    for part in ("88.44% float, 88.67% integers", "98.44%", "26.4 dB, exact", "the same integers on 200 samples",
                 "8 ms float, 0.8 ms integers", "14.00 MB float, 4.00 MB integers", "/a/folder"):  # fmt: skip
        assert part in text


def test_metrics_of_another_unit_and_differences() -> None:
    accuracy = {"float": {"error": 12.5}, "cvm": {"error": 12.75}}
    text = summary(REPORT.model_copy(update={"accuracy": accuracy, "percent": False,
                                             "bit_exact": BitExact(samples=200, mismatches=3)}))  # fmt: skip
    assert "12.5 float, 12.75 integers" in text
    assert "%" not in next(line for line in text.splitlines() if "error" in line)
    assert "3 of 200 samples differ" in text


@pytest.mark.parametrize(("share", "samples", "low", "high"), [(0.5, 100, 0.4038, 0.5962), (1.0, 50, 0.9287, 1.0)])
def test_intervals(share: float, samples: int, low: float, high: float) -> None:
    assert wilson(share, samples) == pytest.approx((low, high), abs=1e-4)
