"""Times engines in turns: a few runs of one, then of the next, round after round, so that drift hits all alike.

Each engine lives in its own process, stopped (SIGSTOP) while others have their turn: pools of threads that spin while
they wait would take the processors from them.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

LEAST_CORRELATION = 0.9  # of an engine's outputs with the float network's: below, it computes something else

# MXNet has more OpenMP pools than one: spinning, they take the processors from each other.
_MXNET = {"OMP_WAIT_POLICY": "PASSIVE", "MXNET_SUBGRAPH_VERBOSE": "0"}


class BenchError(Exception):
    """One line for the user."""


@dataclass(frozen=True)
class Effort:
    """How much to time.

    Attributes:
        rounds: turns of each engine.
        seconds: length of a turn at least.
        runs: runs in a turn at least.
    """

    rounds: int
    seconds: float
    runs: int


class Process:
    """An engine's worker (`bench.worker`), stopped whenever it isn't answering."""

    def __init__(self, engine: str, python: Path, root: Path, threads: int, log: Path) -> None:
        """Start it with this interpreter in the root of the project; what it prints goes to the log."""
        self.engine = engine
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(python), "-m", "bench.worker", engine, str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=root,
                env={**os.environ, **_MXNET, "OMP_NUM_THREADS": str(threads)},
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def __enter__(self) -> Process:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def load(self, folder: Path, batch: int) -> float:
        """Load a network; the correlation of its outputs with the float network's.

        Raises:
            BenchError: the engine failed, or its outputs are not this network's.
        """
        correlation = float(self._ask({"load": str(folder), "batch": batch})["correlation"])
        if not correlation > LEAST_CORRELATION:
            raise BenchError(f"{self.engine}, {folder.name}: correlation {correlation:.3f} with the float network")
        return correlation

    def turn(self, effort: Effort) -> list[float]:
        """Seconds of each run of a turn, after a warm-up."""
        return [float(s) for s in self._ask({"seconds": effort.seconds, "runs": effort.runs})["seconds"]]

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.send_signal(signal.SIGCONT)
            print(json.dumps(request), file=self._process.stdin, flush=True)
            reply = self._process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            raise BenchError(f"{self.engine}: its process ended; see {self._log}")
        self._process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(reply)
        return answer


def compare(processes: Sequence[Process], effort: Effort) -> dict[str, list[list[float]]]:
    """Seconds of each run, by engine and round; each round starts with another engine."""
    found: dict[str, list[list[float]]] = {process.engine: [] for process in processes}
    for number in range(effort.rounds):
        first = number % len(processes)
        for process in (*processes[first:], *processes[:first]):
            found[process.engine].append(process.turn(effort))
    return found


def median(turns: Sequence[Sequence[float]]) -> float:
    """The median over rounds of each round's median."""
    return statistics.median(statistics.median(turn) for turn in turns)


def best(turns: Sequence[Sequence[float]]) -> float:
    """The best round's median."""
    return min(statistics.median(turn) for turn in turns)


def ratio(turns: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float:
    """How long one takes in terms of another: the median over rounds of the ratio within each."""
    return statistics.median(statistics.median(a) / statistics.median(b) for a, b in zip(turns, others))
