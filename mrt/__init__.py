"""MRT: compile trained float networks to integer-only CVM models.

    model = mrt.quantize(net, pictures)

`docs/api.md` shows it on whole examples.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mrt.version import __version__

__all__ = ["Graph", "IntegerModel", "MRTError", "Recipe", "__version__", "quantize"]

if TYPE_CHECKING:
    from mrt.api import IntegerModel, quantize
    from mrt.errors import MRTError
    from mrt.graph import Graph
    from mrt.recipe import Recipe

_FOUND_IN = {
    "Graph": "mrt.graph",
    "IntegerModel": "mrt.api",
    "MRTError": "mrt.errors",
    "Recipe": "mrt.recipe",
    "quantize": "mrt.api",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first asked for: MXNet takes seconds, and `mrt --help` needs none."""
    if name == "datasets":
        return importlib.import_module("mrt.datasets")
    if name not in _FOUND_IN:
        raise AttributeError(f"module 'mrt' has no attribute {name!r}")
    return getattr(importlib.import_module(_FOUND_IN[name]), name)
