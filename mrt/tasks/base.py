"""What a task is, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cvm.errors import CVMError

from mrt.advice import Advice, advised
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
    """A task that ended.

    Attributes:
        name: the task's.
        result: what its function returned.
        reason: why it failed, in one line; None where it did not.
        told: what it warned of; another process's standard error would mix with bars, and is not seen of a cluster.
    """

    name: str
    result: Any = None
    reason: str | None = None
    told: tuple[str, ...] = ()


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
    heard = _Heard()
    package = logging.getLogger("mrt")
    package.addHandler(heard)
    try:
        result, reason = task.function(task.argument), None
    except (MRTError, CVMError) as error:
        result, reason = None, advised(error)
    except Exception as error:  # a defect in one task must not end the others
        logger.debug("%s", task.name, exc_info=True)
        result, reason = None, " ".join(f"{type(error).__name__}: {error}".split())
    finally:
        package.removeHandler(heard)
    return Finished(task.name, result, reason, tuple(dict.fromkeys(heard.texts)))


class _Heard(logging.Handler):
    """Keeps warnings, as the command line words them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self.addFilter(Advice())

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.texts.append(record.getMessage())
