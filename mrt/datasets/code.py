"""The user's own Python code, named in a configuration as `my_module:name` or `folder/my_module.py:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from mrt.errors import MRTError

_NOT_THEIRS = (str(Path(__file__).resolve().parents[1]), "importlib", "site-packages")


def named(what: str, place: str) -> Any:
    """What `my_module:name` or `folder/my_module.py:name`, a dataset or a metric by `what`, names. Its module is run.

    Raises:
        MRTError: there is no such module, it cannot be imported, or it has no such name.
    """
    module, _, name = place.rpartition(":")
    with blamed(f"{what} {place}: cannot be imported"):
        loaded = _from_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    if not hasattr(loaded, name):
        raise MRTError(f"{what} {place}: {module} has no {name}")
    return getattr(loaded, name)


def _from_file(path: Path) -> ModuleType:
    """The module in a file; what lies beside it can be imported from it."""
    key = str(path.resolve())
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ModuleNotFoundError(f"there is no {path}")
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        module = importlib.util.module_from_spec(spec)
        sys.modules[key] = module  # dataclasses and pickle look there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[key]
            raise
    return sys.modules[key]


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """Any error of the user's code as one line that says where in it.

    Raises:
        MRTError: there was one.
    """
    try:
        yield
    except MRTError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if not any(part in f.filename for part in _NOT_THEIRS)]
        place = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
        raise MRTError(f"{what}: {type(error).__name__}: {error}{place}") from error
