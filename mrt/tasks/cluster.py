"""Tasks on a Ray cluster: what a node that is lost was doing is done by another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mrt.errors import MRTError
from mrt.tasks.base import DIED, Finished, Task, perform

_RETRIES = 3


class Cluster:
    """A cluster that is there already; mrt, its data and weights must be on every node, in the same places.

    Args:
        address: as `ray start --head` printed it, such as 10.0.0.1:6379; `auto` for the one on this machine.

    Raises:
        MRTError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise MRTError("Ray is not installed; pip install 'mrt[ray]'") from None
        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            told = " ".join(str(error).split())[:120]
            raise MRTError(f"Ray: there is no cluster at {address} ({told}); start one with ray start --head") from None

    def run(self, tasks: Sequence[Task], started: Callable[[str], None]) -> Iterator[Finished]:
        """See `Workers`. Each task is a process of its own; one that dies with its node begins anew on another."""
        ray = self._ray
        remote = ray.remote(num_cpus=1, max_calls=1, max_retries=_RETRIES)(perform)
        waiting: dict[Any, Task] = {}
        for task in tasks:
            waiting[remote.options(name=task.name, memory=task.memory or None).remote(task)] = task
            started(task.name)
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            task = waiting.pop(ready)
            try:
                yield ray.get(ready)
            except ray.exceptions.RayError as error:
                told = " ".join(str(error).split())[:160]
                yield Finished(task.name, reason=f"{DIED} ({told})")
