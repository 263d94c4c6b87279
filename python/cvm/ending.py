"""How a command ends: a status, and one line where it failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

BAD_INPUT, INTERRUPTED = 2, 130


def ended(
    program: str,
    command: Callable[[], int],
    refusals: tuple[type[Exception], ...],
    advised: Callable[[Exception], object] = str,
) -> int:
    """Run the command; return its exit status, 2 where its input, a file or standard output is bad, 130 if interrupted.

    Args:
        program: whose name the line on standard error begins with.
        command: gives its status.
        refusals: what it raises for bad input.
        advised: the line for one of these.
    """
    try:
        status = command()
        sys.stdout.flush()
    except refusals as error:
        print(f"{program}: {advised(error)}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:  # what nothing expects of its files: a full disk or standard output, a closed pipe
        print(f"{program}: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        _silence()
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    return status


def _silence() -> None:
    """Let what is left of standard output go nowhere: Python writes it at exit, and would complain again."""
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
