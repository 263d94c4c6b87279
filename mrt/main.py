"""`python mrt/main.py CONFIG`: the command line, from a checkout as well as installed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

_INTERRUPTED = 130
_FOLDER = Path(__file__).resolve().parent


def _import_from_project() -> None:
    """Put the project on the path in this folder's place, whose modules would hide others of the same name."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _FOLDER]
    sys.path.insert(0, str(_FOLDER.parent))


def _leave(*_: object) -> NoReturn:
    """End at once: an exception in the middle of an import may be swallowed by what is being imported."""
    os.write(2, b"mrt: interrupted\n")
    os._exit(_INTERRUPTED)


def main() -> int:
    """Run the command line; an interrupt while it is being imported ends as a later one does."""
    handler = signal.getsignal(signal.SIGINT)
    listens = handler is signal.default_int_handler  # not where the caller has it ignored
    if listens:
        signal.signal(signal.SIGINT, _leave)
    from mrt import cli

    if listens:
        signal.signal(signal.SIGINT, handler)
    status = cli.main()
    if listens:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return status


if __name__ == "__main__":
    _import_from_project()
    sys.exit(main())
