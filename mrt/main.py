"""`python mrt/main.py CONFIG`: the command line, from a checkout as well as installed."""

from __future__ import annotations

import sys
from pathlib import Path

_INTERRUPTED = 130
_FOLDER = Path(__file__).resolve().parent


def _import_from_project() -> None:
    """Put the project on the path in this folder's place, whose modules would hide others of the same name."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _FOLDER]
    sys.path.insert(0, str(_FOLDER.parent))


def main() -> int:
    """Run the command line; an interrupt while it is being imported ends as one later does."""
    try:
        from mrt import cli
    except KeyboardInterrupt:
        print("mrt: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return cli.main()


if __name__ == "__main__":
    _import_from_project()
    sys.exit(main())
