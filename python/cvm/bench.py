"""Times a model directory on the native runtime: latency, throughput, load, memory, each layer."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import resource
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import cvm
from cvm.errors import CVMError
from cvm.ops.base import limit
from cvm.package import SAMPLE
from cvm.table import table

_FEWEST = 5
_WARM_UP = 3
_PROFILES = 5
_QUANTILES = (50, 90, 99)
_SEED = 0
_VERSION = 1


@dataclass(frozen=True)
class LayerTime:
    """One step of the plan, on one thread: its time is the least of some runs."""

    title: str
    ms: float
    share: float
    macs: int
    gmacs_per_second: float


@dataclass(frozen=True)
class Timings:
    """What was measured. Times are in milliseconds, of a whole batch; bytes of memory are the process's growth.

    Attributes:
        load_ms: from files to a model that runs.
        mean_ms, p50_ms, p90_ms, p99_ms, least_ms: of the runs; a quantile is the smallest time that is no less than
            that part of all.
        samples_per_second: over all runs.
        arena_bytes: for tensors, of one part of the batch; `constant_bytes`, of packed weights.
        peak_bytes: the largest resident size of the process.
    """

    model: str
    kernels: str
    threads: int
    batch: int
    runs: int
    load_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    least_ms: float
    samples_per_second: float
    arena_bytes: int
    constant_bytes: int
    peak_bytes: int
    version: int = _VERSION
    layers: list[LayerTime] = field(default_factory=list)

    def text(self) -> str:
        """For a person."""
        rows = [
            ("latency of a batch", f"p50 {self.p50_ms:.4g} ms, p90 {self.p90_ms:.4g} ms, p99 {self.p99_ms:.4g} ms"),
            ("", f"mean {self.mean_ms:.4g} ms, least {self.least_ms:.4g} ms"),
            ("throughput", f"{self.samples_per_second:,.1f} samples a second"),
            ("load", f"{self.load_ms:.4g} ms"),
            ("memory", f"{self.arena_bytes:,} bytes of tensors, {self.constant_bytes:,} of packed weights"),
            ("", f"{self.peak_bytes:,} at most in the whole process"),
        ]
        head = f"{self.model}: batch {self.batch}, {self.threads} threads, {self.kernels} kernels, {self.runs} runs"
        lines = [head, *(f"  {name:<20}{value}" for name, value in rows)]
        if self.layers:
            cells = [
                (f"{e.ms:.4f}", f"{e.share:.1%}", e.macs, f"{e.gmacs_per_second:.1f}", e.title) for e in self.layers
            ]
            lines += ["", table(("ms", "share", "MACs", "GMAC/s", "step, on one thread"), cells)]
        return "\n".join(lines) + "\n"


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    text = "time a model: latency p50, p90, p99, throughput, load, memory"
    command = commands.add_parser(
        "bench", help=text, description=text, epilog="Example: %(prog)s data/digits_cvm --batch 16 --layers"
    )
    command.add_argument("model", metavar="MODEL_DIR", help="directory with symbol and params")
    command.add_argument("--threads", type=int, metavar="N", help="threads of a run (default: all cores)")
    command.add_argument("--batch", type=int, metavar="N", help="samples of a run (default: as the model is stored)")
    command.add_argument("--seconds", type=float, default=3.0, metavar="S", help="how long to run (default: 3)")
    command.add_argument("--layers", action="store_true", help="time each step, too")
    command.add_argument("--json", action="store_true", help="as JSON")


def execute(options: argparse.Namespace) -> int:
    """Measure, and print.

    Raises:
        CVMError: bad input.
    """
    found = measure(options.model, options.threads, options.batch, options.seconds, options.layers)
    print(json.dumps(asdict(found), indent=2) if options.json else found.text(), end="\n" if options.json else "")
    return 0


def measure(
    directory: str, threads: int | None = None, batch: int | None = None, seconds: float = 3.0, layers: bool = False
) -> Timings:
    """Run the model for so many seconds, five times at least, after some runs that do not count.

    The input is the sample of the directory, repeated, else seeded random integers.

    Raises:
        CVMError: there is no model, or a number is out of its range.
    """
    if threads is not None and threads < 1:
        raise CVMError(f"--threads {threads}: must be at least 1")
    if batch is not None and batch < 1:
        raise CVMError(f"--batch {batch}: must be at least 1")
    if not 0 < seconds < math.inf:
        raise CVMError(f"--seconds {seconds:g}: must be more than 0")
    begun = time.perf_counter()
    model = cvm.load(directory, threads=threads)
    load_ms = 1000 * (time.perf_counter() - begun)
    size = batch or model.input_shape[0]
    data = _input(Path(directory), model, size)
    for _ in range(_WARM_UP):
        model(data)
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < _FEWEST or time.perf_counter() < until:
        begun = time.perf_counter()
        model(data)
        taken.append(1000 * (time.perf_counter() - begun))
    ordered = sorted(taken)
    p50, p90, p99 = (ordered[math.ceil(part / 100 * len(ordered)) - 1] for part in _QUANTILES)
    plan = model.plan(size)
    return Timings(
        model=str(directory),
        kernels=model.kernels,
        threads=model.threads,
        batch=size,
        runs=len(taken),
        load_ms=load_ms,
        mean_ms=sum(taken) / len(taken),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        least_ms=ordered[0],
        samples_per_second=1000 * size * len(taken) / sum(taken),
        arena_bytes=plan["arena_bytes"],
        constant_bytes=plan["constant_bytes"],
        peak_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        layers=_layers(model, plan, data) if layers else [],
    )


def _input(directory: Path, model: Any, batch: int) -> Any:
    """A batch of integers of the model's input."""
    shape = (batch, *model.input_shape[1:])
    with contextlib.suppress(OSError, ValueError):
        return np.resize(np.load(directory / SAMPLE, allow_pickle=False), shape)
    bound = limit(model.input_precision)
    return np.random.default_rng(_SEED).integers(-bound, bound, shape, np.int32, endpoint=True)


def _layers(model: Any, plan: dict[str, Any], data: Any) -> list[LayerTime]:
    """Each step of the plan, the slowest first."""
    times = np.min([model.profile(data) for _ in range(_PROFILES)], axis=0)
    whole = float(times.sum()) or 1.0
    macs = [int(step["macs"]) for step in plan["steps"]]
    found = [
        LayerTime(step["title"], 1000 * float(s), float(s) / whole, work, work / max(float(s), 1e-12) / 1e9)
        for step, s, work in zip(plan["steps"], times, macs)
    ]
    return sorted(found, key=lambda layer: -layer.ms)
