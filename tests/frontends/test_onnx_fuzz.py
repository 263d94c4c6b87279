"""Mutated ONNX files: each is read, or refused in one line, and none ends the process (`make fuzz-onnx`)."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs mrt[onnx]")

from onnx_fuzz import READ, REFUSED, run


def test_mutated_files_are_read_or_refused() -> None:
    counts, failures = run(0, 200)
    assert not failures
    assert counts[READ] > 10
    assert counts[READ] + counts[REFUSED] == 200
