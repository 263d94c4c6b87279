"""`python -m bench`: build the networks, time every engine on them, write docs/bench.{json,md,png}."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from bench import report
from bench.engines import ENGINES, OURS
from bench.machine import ROOT, command, processor, versions
from bench.results import Machine, Memory, Network, Results, Timing
from bench.rounds import BenchError, Effort, Process, best, compare, median, ratio
from bench.subjects import CLASSIFIERS, DENSE
from mrt.atomic import atomic_write
from mrt.errors import MRTError

WORK = ROOT / "build" / "bench"
_MEMORY_OF = "resnet50_v1"
_ROUNDS = 7
_BATCH = 16
_CLASSIFIES = "MXNet int8"  # whose quantization knows few of the operators of dense prediction


def main() -> int:
    """The command; its exit status."""
    options = _options()
    try:
        results = _run(options)
        folder = options.output
        atomic_write(folder / "bench.json", results.to_json())
        atomic_write(folder / "bench.png", report.plot(results))
        atomic_write(folder / "bench.md", report.markdown(results))
    except (BenchError, MRTError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(report.markdown(results))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--networks",
        nargs="+",
        metavar="NAME",
        choices=(*CLASSIFIERS, *DENSE),
        help=f"of {', '.join((*CLASSIFIERS, *DENSE))}; default: all, those with trained weights if --models has them",
    )
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="folder of trained weights")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"turns of each engine (default {_ROUNDS})")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each engine (default: all processors)")
    parser.add_argument("--keep", action="store_true", help="use the networks that an earlier run built")
    parser.add_argument("--python", type=Path, default=ROOT / ".venv/bin/python", help="the interpreter that has mrt")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder to write to (default: docs)")
    options = parser.parse_args()
    there = [n for n, d in DENSE.items() if not d.trained or (options.models / f"{d.network}-symbol.json").is_file()]
    options.networks = options.networks or [*CLASSIFIERS, *there]
    options.models = options.models.absolute()
    options.python = options.python.absolute()  # workers run in ROOT; not resolve(), which would leave the environment
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be 1 or more")
    return options


def _run(options: argparse.Namespace) -> Results:
    WORK.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    instruction, peak = _peak(options.threads)
    for name in options.networks:
        if not (options.keep and (WORK / name / "int8.xml").is_file()):
            _tell(f"{name}: building")
            _build(name, options)
    with ExitStack() as stack:
        processes = []
        for engine, kind in ENGINES.items():
            python = options.python if kind.beside_mrt else Path(sys.executable)
            log = WORK / f"{engine.replace(' ', '-')}.log"
            processes.append(stack.enter_context(Process(engine, python, ROOT, options.threads, log)))
        networks = [_measure(name, processes, options.rounds) for name in options.networks]
    _, again = _peak(options.threads)
    memory = _memory(options) if _MEMORY_OF in options.networks else None
    fastest = max(peak, again) if peak and again else None
    machine = Machine(processor(), platform.system(), options.threads, load, instruction, fastest)
    today = datetime.date.today().isoformat()
    return Results(today, machine, versions(options.python), options.rounds, networks, memory)


def _build(name: str, options: argparse.Namespace) -> None:
    from bench.export import export, verify
    from bench.quantize import quantize

    python = str(options.python)
    if name in DENSE:
        command([python, "-m", "bench.dense", str(WORK), str(options.models), name])
    else:
        command([python, "-m", "bench.networks", str(WORK), name])
    export(WORK / name)
    verify(WORK / name)
    quantize(WORK / name)


def _measure(name: str, processes: list[Process], rounds: int) -> Network:
    efforts = {1: Effort(rounds, seconds=0.3, runs=8), _BATCH: Effort(max(1, rounds // 2), seconds=0.5, runs=3)}
    if name in DENSE:
        efforts = {1: Effort(rounds, seconds=0.5, runs=3)}
        processes = [process for process in processes if process.engine != _CLASSIFIES]
    batches = {}
    for batch, effort in efforts.items():
        correlations = {process.engine: process.load(WORK / name, batch) for process in processes}
        turns = compare(processes, effort)
        batches[batch] = {
            engine: Timing(median(found), best(found), ratio(turns[OURS], found), correlations[engine])
            for engine, found in turns.items()
        }
        times = ", ".join(f"{engine} {1e3 * t.median:.2f}" for engine, t in batches[batch].items())
        _tell(f"{name}, batch {batch}, ms: {times}")
    return Network(name, int((WORK / name / "macs").read_text()), batches)


def _peak(threads: int) -> tuple[str | None, float | None]:
    """The instruction that multiplies and adds int8 fastest and its rate, by `peak.cpp`; Nones where it knows none."""
    program = WORK / "peak"
    source = Path(__file__).parent / "peak.cpp"
    command([os.environ.get("CXX", "g++"), "-O2", "-std=c++17", "-pthread", str(source), "-o", str(program)])
    result = subprocess.run([program, str(threads)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return None, None
    instruction, _, rate = result.stdout.strip().rpartition(" ")
    return instruction, float(rate)


def _memory(options: argparse.Namespace) -> Memory:
    model = WORK / _MEMORY_OF / "model"
    sizes = json.loads(command([str(options.python), "-m", "bench.memory", str(model), str(options.threads)]))
    return Memory(network=_MEMORY_OF, **sizes)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
