"""The model zoo: one configuration per published network (`NAME.ini`), and what is done with all of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from mrt.errors import MRTError

__all__ = ["configuration", "names", "select"]

_FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Every network of the zoo, sorted."""
    return sorted(path.name[: -len(path.suffix)] for path in _FOLDER.glob("*.ini"))


def select(wanted: Sequence[str]) -> list[str]:
    """The networks named, in the order given; all where none is.

    Raises:
        MRTError: the zoo has no network of a name.
    """
    known = names()
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise MRTError(f"zoo: no network {name}{f'; did you mean {near[0]}?' if near else ''}; see mrt zoo list")
    return list(dict.fromkeys(wanted)) or known


def configuration(name: str) -> Path:
    """The configuration file of a network of the zoo."""
    return _FOLDER / f"{name}.ini"
