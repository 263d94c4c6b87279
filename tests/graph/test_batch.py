"""Batches are counted, taken and cut where the samples are."""

from __future__ import annotations

import numpy as np
import pytest

from mrt.errors import MRTError
from mrt.graph.batch import Samples, fitting

SEVERAL = Samples({"data": (-1, 3), "words": (5, -1)})


def feed(count: int) -> dict[str, np.ndarray]:
    return {"data": np.arange(3 * count).reshape(count, 3), "words": np.arange(5 * count).reshape(5, count)}


@pytest.mark.parametrize(("count", "size", "counts"), [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 9, [3]), (1, 1, [1])])
def test_pieces_hold_every_sample_once_in_order(count: int, size: int, counts: list[int]) -> None:
    pieces = list(SEVERAL.pieces(feed(count), size))
    assert [SEVERAL.count(piece) for piece in pieces] == counts
    assert [part.stop - part.start for part in SEVERAL.parts(feed(count), size)] == counts
    for name, axis in (("data", 0), ("words", 1)):
        assert np.array_equal(np.concatenate([piece[name] for piece in pieces], axis), feed(count)[name])


def test_one_input_needs_no_name() -> None:
    words = feed(4)["words"]
    samples = Samples({"anything": (5, -1)})
    assert samples.count(words) == 4
    assert np.array_equal(samples.take(words, [3, 0]), words[:, [3, 0]])
    assert np.array_equal(np.concatenate(list(samples.pieces(words, 3)), axis=1), words)


def test_inputs_of_different_numbers_of_samples_are_refused() -> None:
    with pytest.raises(MRTError, match="different numbers of samples"):
        SEVERAL.count({"data": np.zeros((2, 3)), "words": np.zeros((5, 3))})


def test_as_many_samples_as_fit_in_the_memory_and_at_least_one() -> None:
    assert fitting([(1, 100), (1, 10, 15)], 4 * 250 * 7 + 3) == 7
    assert fitting([(1, 100)], 10) == 1
    assert fitting([], 10) == 10
