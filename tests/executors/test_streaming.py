"""Many values in bounded memory: how much a batch or a network has decides nothing of what is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mrt.executors import streaming
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph, Value
from mrt.graph.batch import Feed, Samples
from mrt.run import batching
from mrt.run.source import network_at

DATA = Path(__file__).resolve().parents[2] / "data"
SIZES = {"samples a few at a time": 2**18, "values a few at a time": 2**10}


@pytest.fixture(scope="module")
def digits() -> Graph:
    return network_at(DATA / "digits", {"data": (-1, 1, 8, 8)})


@pytest.mark.parametrize("budget", SIZES.values(), ids=SIZES)
def test_every_value_of_every_sample(digits: Graph, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_BUDGET_BYTES", budget)
    wanted = [[Value(node)] for node in digits.nodes() if not node.is_variable]
    batches = [np.random.default_rng(n).normal(0, 1, (7, 1, 8, 8)).astype(np.float32) for n in range(2)]
    counts: list[int] = []
    found: list[list[Array]] = [[] for _ in wanted]
    for count, arrays in streaming.streamed(digits, wanted, batches):
        counts.append(count)
        for kept, (array,) in zip(found, arrays):
            kept.append(array)
    assert sum(counts) == 14 and max(counts) < 7
    whole = Executor(digits, [value for values in wanted for value in values])(np.concatenate(batches))
    for kept, expected in zip(found, whole):
        np.testing.assert_allclose(np.concatenate(kept), expected, rtol=1e-4, atol=1e-5)


def test_runs_hold_no_more_than_fits_at_once(digits: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Watched(Executor):
        def __call__(self, data: Array) -> Sequence[Array]:  # type: ignore[override]
            found = super().__call__(data)
            held.append(sum(array.nbytes for array in found))
            return found

    monkeypatch.setattr(streaming, "Executor", Watched)
    monkeypatch.setattr(streaming, "_BUDGET_BYTES", 2**14)
    wanted = [[Value(node)] for node in digits.nodes() if not node.is_variable]
    for _, arrays in streaming.streamed(digits, wanted, [np.zeros((5, 1, 8, 8), np.float32)]):
        list(arrays)
    assert len(held) > 1 and max(held) <= 2**14


def test_a_bounded_run_gives_what_the_run_gives(digits: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_BUDGET_BYTES", 2**17)
    run, seen = Executor(digits), []

    def watched(feed: Feed) -> list[Array]:
        seen.append(Samples(digits.inputs).count(feed))
        return run(feed)

    data = np.random.default_rng(0).normal(0, 1, (9, 1, 8, 8)).astype(np.float32)
    (found,) = batching.bounded(watched, digits)(data)
    np.testing.assert_allclose(found, run(data)[0], rtol=1e-4, atol=1e-5)
    assert max(seen) < 9 and sum(seen) == 9
