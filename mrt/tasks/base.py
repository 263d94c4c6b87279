"""What a task is, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cvm.errors import CVMError

from mrt.advice import advised
from mrt.errors import MRTError

logger = logging.getLogger(__name__)

DIED = "its process died; was there enough memory?"


@dataclass(frozen=True)
class Task:
    """Something to do in a process of its own.

    Attributes:
        name: what users call it; unique among the tasks of a run.
        function: of a module, so that another process finds it.
        argument: what it is called with; it and the result must pickle.
        memory: bytes that it is expected to take.
    """

    name: str
    function: Callable[[Any], Any]
    argument: Any
    memory: int = 0


@dataclass(frozen=True)
class Finished:
    """A task that ended: `reason` says in one line why it failed, None where it did not."""

    name: str
    result: Any = None
    reason: str | None = None


class Workers(Protocol):
    """Where tasks run."""

    def run(self, tasks: Sequence[Task], started: Callable[[str], None]) -> Iterator[Finished]:
        """Run all, each once, whatever becomes of the others; give each as it ends.

        Args:
            tasks: what to do.
            started: called with a task's name when it begins.
        """


def perform(task: Task) -> Finished:
    """Do a task here; whatever it raises becomes its reason."""
    try:
        return Finished(task.name, task.function(task.argument))
    except (MRTError, CVMError) as error:
        return Finished(task.name, reason=advised(error))
    except Exception as error:  # a defect in one task must not end the others
        logger.debug("%s", task.name, exc_info=True)
        return Finished(task.name, reason=" ".join(f"{type(error).__name__}: {error}".split()))
