"""What a run of the benchmark found, and its file form."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """One engine on one network.

    Attributes:
        median: seconds per run, the median of the rounds.
        best: seconds per run, the best round.
        ours: how long ours takes in terms of this one, the median over rounds.
        correlation: of its outputs with the float network's.
    """

    median: float
    best: float
    ours: float
    correlation: float


@dataclass(frozen=True)
class Network:
    """All engines on one network.

    Attributes:
        name: in the zoo.
        macs: multiply-adds per picture.
        batches: by batch size, the timing of each engine.
    """

    name: str
    macs: int
    batches: dict[int, dict[str, Timing]]


@dataclass(frozen=True)
class Machine:
    """Where it ran.

    Attributes:
        processor: its name.
        system: operating system.
        threads: what every engine was given.
        load: processes that wanted to run, on average over the minute before.
        instruction: of the micro-benchmark (`peak.cpp`); None where it knows none.
        peak: int8 multiply-adds per second of `threads` threads together, measured; None likewise.
    """

    processor: str
    system: str
    threads: int
    load: float
    instruction: str | None
    peak: float | None


@dataclass(frozen=True)
class Memory:
    """Bytes of a process with one loaded network, after a few runs.

    Attributes:
        network: its name.
        weights: packed weights and other constants, as planned.
        arena: activations, as planned.
        before: the most the process held before it loaded the model: Python and NumPy.
        peak: the most it ever held.
    """

    network: str
    weights: int
    arena: int
    before: int
    peak: int

    @property
    def limit(self) -> float:
        """1.5 * (weights + arena) + 64 MB: what a loaded model may take."""
        return 1.5 * (self.weights + self.arena) + 64e6


@dataclass(frozen=True)
class Results:
    """Everything, as `docs/bench.json` holds it."""

    date: str
    machine: Machine
    versions: dict[str, str]
    rounds: int
    networks: list[Network]
    memory: Memory | None

    def to_json(self) -> str:
        """As JSON; times in seconds, sizes in bytes."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Results:
        """The inverse of `to_json`."""
        raw: dict[str, Any] = json.loads(text)
        networks = [
            Network(
                item["name"],
                item["macs"],
                {
                    int(batch): {engine: Timing(**timing) for engine, timing in timings.items()}
                    for batch, timings in item["batches"].items()
                },
            )
            for item in raw["networks"]
        ]
        memory = Memory(**raw["memory"]) if raw["memory"] else None
        return Results(raw["date"], Machine(**raw["machine"]), raw["versions"], raw["rounds"], networks, memory)
