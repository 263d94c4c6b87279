"""Runs networks of the zoo one after the other, each in a process of its own: one that dies takes no other with it."""

from __future__ import annotations

import logging
import math
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from cvm.errors import CVMError

from mrt.advice import advised
from mrt.errors import MRTError
from mrt.report import Progress, Report
from mrt.zoo.results import Results, summary
from mrt.zoo.settings import has_weights, settings

logger = logging.getLogger(__name__)

_LARGEST_BATCH = 16


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


def run(jobs: Sequence[Job], results: Results, tell: Callable[[str], None], progress: Progress) -> list[str]:
    """Run every job and keep its result, whatever became of the others.

    Args:
        jobs: what to run, in this order.
        results: where the reports go.
        tell: called with one line per job.
        progress: counts the jobs.

    Returns:
        The names of those that failed.
    """
    failed = []
    with progress.stage("zoo", total=len(jobs)) as step:
        for job in jobs:
            try:
                report = _alone(job)
                results.save(job.name, report)
                _require_exactness(report)
                tell(f"{job.name}: {summary(report)}, {sum(report.seconds.values()):.0f} s")
            except (MRTError, CVMError) as error:
                reason = advised(error)
                results.fail(job.name, reason)
                failed.append(job.name)
                tell(f"{job.name}: failed: {reason}")
            step.advance()
    return failed


def _require_exactness(report: Report) -> None:
    exact = report.bit_exact
    if exact and exact.mismatches:
        raise MRTError(
            f"the compiled model differs from the integer graph on {exact.mismatches} of {exact.samples} pictures"
        )


def _alone(job: Job) -> Report:
    """`run_one` in a new process, so that memory is given back and a crash is this job's only."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(run_one, job).result()
        except BrokenProcessPool:
            raise MRTError("its process died; was there enough memory?") from None
        except (MRTError, CVMError):
            raise
        except Exception as error:  # a defect in one network's run must not end the others'
            logger.debug("%s", job.name, exc_info=True)
            raise MRTError(f"{type(error).__name__}: {error}") from error


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
    used = resource.getrusage(resource.RUSAGE_SELF)
    report.cpu_seconds = used.ru_utime + used.ru_stime
    report.peak_memory_bytes = used.ru_maxrss if sys.platform == "darwin" else 1024 * used.ru_maxrss
    return report
