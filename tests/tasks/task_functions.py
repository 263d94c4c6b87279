"""What the tests' tasks do; other processes import it."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from mrt.errors import MRTError


def square(number: int) -> int:
    return number * number


def warn(times: int) -> int:
    for _ in range(times):
        logging.getLogger("mrt.somewhere").warning("%d of them", times)
    logging.getLogger("mrt.somewhere").info("no matter")
    return times


def refuse(text: str) -> None:
    raise MRTError(text)


def crash(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_beside_others(folder: str) -> str:
    """Dies the first time."""
    marker = Path(folder) / "tried"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def break_down(_: object) -> None:
    raise ZeroDivisionError("of nothing")


def wait_long(folder: str) -> None:
    (Path(folder) / "child").write_text(str(os.getpid()))
    time.sleep(120)


def noted(argument: tuple[str, str, float]) -> tuple[float, float]:
    """From when to when it ran."""
    _, _, seconds = argument
    begun = time.monotonic()
    time.sleep(seconds)
    return begun, time.monotonic()
