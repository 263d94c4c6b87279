"""Peak memory of a process that loads a model and runs it: `python -m bench.memory MODEL THREADS` prints it as JSON.

Runs in `.venv`. Linux says how much memory a process ever held (VmHWM); getrusage won't do, since it counts the parent
that forked it too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cvm
import numpy as np

_RUNS = 3


def main() -> None:
    """Load, run, and print sizes in bytes: weights and arena as planned, the process before loading, its peak."""
    before = _high_water()
    model = cvm.load(sys.argv[1], threads=int(sys.argv[2]))
    data = np.zeros((1, *model.input_shape[1:]), np.int8)
    for _ in range(_RUNS):
        model(data)
    peak = _high_water()
    plan = model.plan(1)
    sizes = {"weights": plan["constant_bytes"], "arena": plan["arena_bytes"], "before": before, "peak": peak}
    print(json.dumps(sizes))


def _high_water() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    main()
