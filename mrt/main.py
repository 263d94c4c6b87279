"""`python mrt/main.py CONFIG`: the command line, from a checkout as well as installed."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def _import_from_project() -> None:
    """Put the project on the path in this folder's place, whose modules would hide others of the same name."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _FOLDER]
    sys.path.insert(0, str(_FOLDER.parent))


if __name__ == "__main__":
    _import_from_project()
    from mrt.cli import main

    sys.exit(main())
