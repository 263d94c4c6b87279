"""Packages that need help to be imported."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_HIDDEN: Any = None


def prepare_gluoncv() -> None:
    """Import GluonCV, which takes seconds, and which refuses to be imported where it finds PyTorch 2."""
    if "gluoncv" in sys.modules:
        return
    found = {name: module for name, module in sys.modules.items() if name == "torch"}
    sys.modules["torch"] = _HIDDEN
    try:
        importlib.import_module("gluoncv")
    finally:
        del sys.modules["torch"]
        sys.modules.update(found)
