"""Runs networks of the zoo, each a task of its own: one that dies takes no other with it, and what is done is kept."""

from __future__ import annotations

import hashlib
import logging
import math
import resource
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrt import memory, zoo
from mrt.config.paths import model_files
from mrt.errors import MRTError
from mrt.report import Progress, Report
from mrt.tasks import Task, Workers
from mrt.version import __version__
from mrt.zoo.results import Results, summary
from mrt.zoo.settings import has_weights, settings

_LARGEST_BATCH = 16
_MEMORY = 2_500_000_000
"""Bytes that a network is expected to take of which no earlier run says more."""


@dataclass(frozen=True)
class Job:
    """One network to run.

    Attributes:
        name: in the zoo.
        random_weights: use seeded weights where the network's own are not found.
        pictures: how many to evaluate; None: as the configuration says.
        models: a folder to look for weights in first.
    """

    name: str
    random_weights: bool = False
    pictures: int | None = None
    models: Path | None = None

    def origin(self) -> dict[str, str]:
        """What the result is made from, in words: where it is the same, so is the result.

        Raises:
            MRTError: the configuration is not valid.
        """
        config = settings(self.name, self.models)
        files = model_files(config.default.model_dir, config.default.model_name) or ()
        text = zoo.configuration(self.name).read_bytes()
        return {
            "mrt": __version__,
            "configuration": hashlib.sha256(text).hexdigest(),
            "weights": ", ".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
            or str(has_weights(config)),
            "random_weights": str(self.random_weights),
            "pictures": str(self.pictures),
        }


def run(
    jobs: Sequence[Job],
    results: Results,
    executor: Workers,
    tell: Callable[[str], None],
    progress: Progress,
    again: bool = False,
) -> list[str]:
    """Run every job and keep its result, whatever became of the others.

    Args:
        jobs: what to run, in this order.
        results: where the reports go; a job whose report is there already, made from the same, is left out.
        executor: where they run.
        tell: called with one line per job, after one for each thing that it warned of.
        progress: counts the jobs.
        again: leave none out.

    Returns:
        The names of those that failed.
    """
    kept = {} if again else {job.name: report for job in jobs if (report := _kept(job, results))}
    for name, report in kept.items():
        tell(f"{name}: done before: {summary(report)}")
    todo = {job.name: job for job in jobs if job.name not in kept}
    failed, running = [], list[str]()
    with progress.stage("zoo", total=len(jobs), done=len(kept)) as step:

        def begun(name: str) -> None:
            running.append(name)
            step.say(", ".join(running))

        tasks = [Task(name, run_one, job, _memory(name, results)) for name, job in todo.items()]
        for finished in executor.run(tasks, begun):
            name, report, reason = finished.name, finished.result, finished.reason
            for text in finished.told:
                tell(f"{name}: {text}")
            if reason is None:
                results.save(name, report, todo[name].origin())
                reason = _inexact(report)
            if reason is None:
                tell(f"{name}: {summary(report)}, {sum(report.seconds.values()):.0f} s")
            else:
                results.fail(name, reason)
                failed.append(name)
                tell(f"{name}: failed: {reason}")
            running.remove(name)
            step.say(", ".join(running))
            step.advance()
    return failed


def _kept(job: Job, results: Results) -> Report | None:
    """The report of an earlier run that was made from the same and did not fail."""
    try:
        origin = job.origin()
    except MRTError:
        return None  # its own task says so
    return results.kept(job.name, origin)


def _memory(name: str, results: Results) -> int:
    try:
        report = results.report(name)
    except MRTError:
        report = None  # which this run replaces
    return (report.peak_memory_bytes if report else None) or _MEMORY


def _inexact(report: Report) -> str | None:
    exact = report.bit_exact
    if exact and exact.mismatches:
        return f"the compiled model differs from the integer graph on {exact.mismatches} of {exact.samples} pictures"
    return None


def run_one(job: Job) -> Report:
    """The report of one network; checkpoints and the compiled model are not kept.

    Raises:
        MRTError: bad input, such as weights or data that are not there.
    """
    from mrt import pipeline  # imports mxnet, which takes seconds

    logging.getLogger("mrt").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        overrides = [f"DEFAULT.Output_dir={scratch}", f"COMPILATION.Dump_dir={scratch}", "PREPARE.Verify=False"]
        overrides += [f"{section}.Dump=False" for section in ("PREPARE", "CALIBRATION", "QUANTIZATION")]
        if job.pictures is not None:
            batch = max(size for size in range(1, _LARGEST_BATCH + 1) if job.pictures % size == 0)
            overrides += [f"EVALUATION.Batch={batch}", f"EVALUATION.Iter_num={math.ceil(job.pictures / batch)}"]
        config = settings(job.name, job.models, *overrides)
        structural = job.random_weights and not has_weights(config)
        report = pipeline.run(config, Progress(), structural, network=job.name)
    report.model_dir = None
    used = resource.getrusage(resource.RUSAGE_SELF)
    report.cpu_seconds = used.ru_utime + used.ru_stime
    report.peak_memory_bytes = memory.peak()
    return report
