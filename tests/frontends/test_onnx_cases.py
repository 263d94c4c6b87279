"""ONNX's own cases of single operators: none is wrong, what is refused is refused in a line that names the node."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("onnx", reason="needs mrt[onnx]")

from onnx_cases import EQUAL, REFUSED, cases, verdict

AT_LEAST = 1100


def test_every_case_is_equal_or_refused() -> None:
    verdicts = [verdict(case) for case in cases()]
    wrong = [f"{each.case}: {each.kind}" for each in verdicts if each.kind not in (EQUAL, REFUSED)]
    assert not wrong
    refusals = [each.reason for each in verdicts if each.kind == REFUSED]
    assert all(reason and "\n" not in reason for reason in refusals)
    assert Counter(each.kind for each in verdicts)[EQUAL] >= AT_LEAST
