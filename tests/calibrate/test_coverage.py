"""Which calibrator or threshold decides for which tensor."""

from __future__ import annotations

import numpy as np
import pytest

from mrt.calibrate.coverage import Coverage, check_names
from mrt.calibrate.thresholds import CALIBRATORS, LEVELS, Interval
from mrt.errors import MRTError
from mrt.graph import Graph, Node, Value
from mrt.statistics.tensor import Statistics

SEEN = Statistics.of(np.concatenate([np.random.default_rng(0).normal(0, 1, 20_000), [30.0]]).astype(np.float32))
EXPECTED = {name: calibrate(SEEN, LEVELS) for name, calibrate in CALIBRATORS.items()}


def tensor(name: str, *origin: str) -> Value:
    return Value(Node("relu", name, origin=origin))


def which(found: Interval) -> str:
    return next((name for name, expected in EXPECTED.items() if expected == found), "none")


def test_calibrators_differ_on_these_values() -> None:
    assert len(set(EXPECTED.values())) == len(EXPECTED)


def test_a_whole_name_comes_before_patterns_and_the_first_pattern_before_the_next() -> None:
    given = {"stage?_*": "percentile", "stage1_relu": "absmax", "*": "entropy", "user_name": "mse"}
    coverage = Coverage("mse", given)
    assert which(coverage(tensor("stage1_relu"), SEEN)) == "absmax"
    assert which(coverage(tensor("stage2_relu"), SEEN)) == "percentile"
    assert which(coverage(tensor("stage10_relu"), SEEN)) == "entropy"
    assert which(coverage(tensor("other", "user_name"), SEEN)) == "mse", "the user's own network's names count"
    assert which(Coverage("percentile")(tensor("other"), SEEN)) == "percentile"


def test_thresholds_come_before_calibrators() -> None:
    coverage = Coverage("mse", {"a": "absmax"}, {"a": 0.5})
    assert coverage(tensor("a"), SEEN) == (-0.5, 0.5)


def test_lambda_is_a_calibrator_like_any_other() -> None:
    low, high = Coverage("mse", {"a": "lambda"}, lambda_=2.0)(tensor("a"), SEEN)
    assert high == pytest.approx(abs(SEEN.mean) + 2 * SEEN.std) and low == -high
    with pytest.raises(MRTError, match="calibrator lambda: needs a number of standard deviations"):
        Coverage("lambda")


def test_otherwise_changes_only_what_nothing_was_said_of() -> None:
    given = Coverage("mse", {"a*": "absmax"}, {"t": 0.25})
    coverage = given.otherwise("entropy", {"ab": "percentile", "b": "percentile"})
    assert which(coverage(tensor("ac"), SEEN)) == "absmax"
    assert which(coverage(tensor("b"), SEEN)) == "percentile"
    assert which(coverage(tensor("c"), SEEN)) == "entropy"
    assert coverage(tensor("t"), SEEN) == (-0.25, 0.25)
    assert [coverage.settled(tensor(name)) for name in ("ac", "t", "c")] == [True, True, False]


def test_names_that_fit_nothing_are_refused_with_those_near() -> None:
    node = Node("relu", "stage1_relu0", (Value(Node("null", "data")),), origin=("MobileNet/Relu6",))
    graph = Graph((Value(node),), {}, {"data": (-1, 3)})
    check_names(graph, ["stage1_relu0", "stage*", "MobileNet/Relu6"], "here")
    with pytest.raises(MRTError, match=r"^here: the network has no node stage1_relu; near: stage1_relu0$"):
        check_names(graph, ["stage1_relu"], "here")
    with pytest.raises(MRTError, match=r"^here: the network has no node conv\*$"):
        check_names(graph, ["conv*"], "here")
