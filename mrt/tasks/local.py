"""Tasks on this machine: some processes at a time, no more than memory allows."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from mrt import memory
from mrt.lifeline import end_with
from mrt.tasks.base import DIED, Finished, Task, perform


@dataclass
class _Child:
    task: Task
    process: SpawnProcess
    alone: bool


class Local:
    """At most `jobs` processes at a time; one more begins only where its memory fits beside the others'.

    A process that dies beside others is tried once more by itself: they may have taken the memory that it lacked. All
    end with this process, even where that is killed.

    Args:
        jobs: processes at a time.
        available: bytes of memory to fill; by default what is free now.
    """

    def __init__(self, jobs: int = 1, available: int | None = None) -> None:
        self._jobs = jobs
        self._available = memory.available() if available is None else available

    def run(self, tasks: Sequence[Task], started: Callable[[str], None]) -> Iterator[Finished]:
        """See `Workers`."""
        waiting, again = list(tasks), list[Task]()
        running: dict[Connection, _Child] = {}
        try:
            while waiting or again or running:
                while task := self._next(waiting, [child.task for child in running.values()]):
                    waiting.remove(task)
                    self._start(task, running, self._jobs == 1)
                    started(task.name)
                if not waiting and not running and again:
                    self._start(again.pop(0), running, True)
                for connection in wait(list(running)):
                    assert isinstance(connection, Connection)
                    child = running.pop(connection)
                    finished = _received(connection)
                    child.process.join()
                    if finished is None and not child.alone:
                        again.append(child.task)
                        continue
                    yield finished or Finished(child.task.name, reason=DIED)
        finally:
            for child in running.values():
                child.process.kill()
                child.process.join()

    def _next(self, waiting: Sequence[Task], running: Sequence[Task]) -> Task | None:
        """The first that may begin now; any, where nothing runs."""
        if len(running) >= self._jobs:
            return None
        free = None if self._available is None else self._available - sum(task.memory for task in running)
        fitting = (task for task in waiting if not running or free is None or task.memory <= free)
        return next(fitting, None)

    def _start(self, task: Task, running: dict[Connection, _Child], alone: bool) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        threads = max(1, (os.cpu_count() or 1) // self._jobs)
        process = context.Process(target=_work, args=(theirs, os.getpid(), threads, task))
        process.start()
        theirs.close()
        running[ours] = _Child(task, process, alone)


def _work(connection: Connection, parent: int, threads: int, task: Task) -> None:
    """What a process does."""
    end_with(parent)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # before mxnet is imported, which takes all by default
    with suppress(KeyboardInterrupt, BrokenPipeError):  # the parent says so
        connection.send(perform(task))


def _received(connection: Connection) -> Finished | None:
    """What the process sent; None where it died."""
    try:
        finished: Finished = connection.recv()
        return finished
    except (EOFError, OSError):
        return None
    finally:
        connection.close()
