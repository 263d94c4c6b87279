"""A short run of `make fuzz`, always the same, and the mutants on which the readers once differed."""

from __future__ import annotations

import cvm_fuzz
import numpy as np
import pytest
from cvm import CVMError, format


def test_mutants_are_read_and_run_alike():
    outcomes = cvm_fuzz.fuzz(600, 12345)
    assert sum(outcomes.values()) == 600
    assert outcomes["run"] > 100 and outcomes["refused"] > 300


def test_a_difference_is_noticed_and_kept(tmp_path, monkeypatch):
    load = format.load
    monkeypatch.setattr(format, "load", lambda *paths: _refuse() if load(*paths).heads else None)
    with pytest.raises(AssertionError, match="only the Python reader refuses"):
        cvm_fuzz.fuzz(50, 1, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["params", "symbol"]


def _refuse():
    raise CVMError("no")


def test_where_the_readers_once_differed_both_refuse(shared, tmp_path):
    cases = sorted((shared / "cases" / "hostile").glob("fuzz_disagree_*"))
    assert len(cases) == 6
    for case in cases:
        files = ((case / "symbol").read_bytes(), (case / "params").read_bytes())
        assert cvm_fuzz.compare(files, tmp_path, np.random.default_rng(0)) == "refused"
