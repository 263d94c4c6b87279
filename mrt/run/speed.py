"""How fast a network runs, and what is prepared while it does."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_RUNS = 9
_LEAST_RUNS = 3
_SECONDS = 2.0


def latency_ms(run: Callable[[], object]) -> float:
    """Milliseconds of one run: the median of nine, fewer where they take long, after one that does not count."""
    run()
    taken: list[float] = []
    while len(taken) < _RUNS and (len(taken) < _LEAST_RUNS or sum(taken) < _SECONDS):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def ahead(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """The same items in the same order, `count` of them made beside what the caller does, in a thread of their own."""
    worker = ThreadPoolExecutor(1)
    end = object()
    try:
        waiting = deque(worker.submit(next, items, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(worker.submit(next, items, end))
            yield item  # type: ignore[misc]  # all but `end` is an Item
    finally:
        worker.shutdown(cancel_futures=True)
