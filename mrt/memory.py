"""Gives memory back to the system."""

from __future__ import annotations

import ctypes
import gc
from functools import cache
from typing import Callable


def collect() -> None:
    """Free what only refers to itself, such as a Gluon network nobody holds any more, and `trim`."""
    gc.collect()
    trim()


def trim() -> None:
    """Return freed memory to the system: glibc keeps up to hundreds of megabytes of what arrays left. Else nothing."""
    _malloc_trim()(0)


@cache
def _malloc_trim() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return lambda pad: None
    return found
