"""One engine in a process of its own: `python -m bench.worker ENGINE THREADS`, then a JSON request per line.

- `{"load": FOLDER, "batch": N}`: load a network; the reply has `correlation`, of its outputs with the float network's;
- `{"seconds": S, "runs": R}`: warm up, run for S seconds and R times at least; the reply has `seconds` of each run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.engines import ENGINES, Run, side_by_side, timed

_WARM_UP = 0.25  # of what is asked for


class Worker:
    """Answers requests."""

    def __init__(self, engine: str, threads: int) -> None:
        """Nothing is loaded yet."""
        self._engine = ENGINES[engine]
        self._threads = threads
        self._run: Run | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request."""
        if "load" in request:
            return {"correlation": self._load(Path(request["load"]), request["batch"])}
        return {"seconds": self._time(request["seconds"], request["runs"])}

    def _load(self, folder: Path, batch: int) -> float:
        self._run = None  # the last network's memory is given back first
        pictures = np.ascontiguousarray(np.load(folder / "pictures.npy")[:batch])
        wanted = np.load(folder / "outputs.npy")[:batch]
        self._run = self._engine.load(folder, pictures, self._threads)
        return float(np.corrcoef(side_by_side(self._run()).ravel(), wanted.ravel())[0, 1])

    def _time(self, least_seconds: float, least_runs: int) -> list[float]:
        assert self._run is not None
        _for(self._run, _WARM_UP * least_seconds, 1)
        return _for(self._run, least_seconds, least_runs)


def _for(run: Run, seconds: float, runs: int) -> list[float]:
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < runs or time.perf_counter() < end:
        found += timed(run, 1)
    return found


def main() -> None:
    """Serve standard input; what an engine prints goes to standard error, and only replies to standard output."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
