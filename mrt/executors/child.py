"""Does something in a child process, so that what kills or hangs it ends as a line of text."""

from __future__ import annotations

import faulthandler
import os
import resource
import select
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, NoReturn

from mrt.lifeline import end_with

_LONGEST = 4000  # bytes of a message; more may not fit into a pipe that nobody reads yet
_TELLING = ("Check failed", "rror", "what():", "failed")


@dataclass(frozen=True)
class Failure:
    """How a child failed.

    Attributes:
        reason: one line.
        died: whether it was killed or had to be, rather than raised an exception.
    """

    reason: str
    died: bool


def attempt(task: Callable[[], None], seconds: float) -> Failure | None:
    """Fork, do the task there, and say how it failed, if it did.

    The child has all that this process has, costs milliseconds to start, and changes nothing here; what it writes to
    standard output and error is kept from the user. MXNet stops its threads around a fork and starts them again.

    Args:
        task: an exception from it is a failure whose reason is the exception's text.
        seconds: a child that takes longer is killed, and that is a failure, too.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    with tempfile.TemporaryFile() as chatter:
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(task, writer, chatter.fileno(), parent)
        os.close(writer)
        try:
            finished = _finished(reader, time.monotonic() + seconds)
            if not finished:
                os.kill(child, signal.SIGKILL)
            message = _read(reader) if finished else b""
        except BaseException:  # an interrupt, too, must not leave the child behind
            os.kill(child, signal.SIGKILL)
            raise
        finally:
            os.close(reader)
            _, status = os.waitpid(child, 0)
        if not finished:
            return Failure(f"it did not end within {seconds:.0f} s", died=True)
        if os.WIFSIGNALED(status):
            return Failure(_death(os.WTERMSIG(status), chatter), died=True)
        if os.WEXITSTATUS(status):
            return Failure(message.decode(errors="replace") or "it ended early", died=not message)
        return None


def _work(task: Callable[[], None], writer: int, chatter: int, parent: int) -> NoReturn:
    """What the child does, and its end: nothing of the parent's clean-up may run here."""
    status = 1
    try:
        end_with(parent)
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(chatter, 1)
        os.dup2(chatter, 2)
        task()
        status = 0
    except BaseException as error:
        os.write(writer, (" ".join(str(error).split()) or type(error).__name__).encode(errors="replace")[:_LONGEST])
    finally:
        os._exit(status)


def _finished(reader: int, deadline: float) -> bool:
    """Whether the child has said something or ended by then."""
    return bool(select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0])


def _read(reader: int) -> bytes:
    message = b""
    while piece := os.read(reader, _LONGEST):
        message += piece
    return message


def _death(number: int, chatter: IO[bytes]) -> str:
    """Which signal, and the line before it that says why, where there is one."""
    chatter.seek(0)
    lines = [line.strip() for line in chatter.read(1 << 16).decode(errors="replace").splitlines()]
    telling = next((line for line in lines if any(word in line for word in _TELLING)), "")
    return f"it was killed by {signal.Signals(number).name}" + (f" ({telling[:160]})" if telling else "")
