"""The CVM target: integer-only models, bit for bit the same on every machine.

`cvm.model` holds the graph, `cvm.ops` the operators, `cvm.format` and `cvm.package` the files, `cvm.formal` the
reference executor, `cvm.certificate` the overflow proof; `cvm.load` opens a model directory with the native runtime.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from cvm.errors import Cancelled, CVMError, LimitError
from cvm.model import Model, Node

__version__ = "0.1.0"
__all__ = ["CVMError", "Cancelled", "LimitError", "Model", "Node", "__version__", "load"]


def load(directory: str | os.PathLike[str], **options: Any) -> Any:
    """Open the model directory with the native runtime; `CVMError` where that was not built.

    Options are those of `cvm.runtime.load` (`threads`, `max_memory`, `max_operations`).
    """
    try:
        runtime = importlib.import_module("cvm.runtime")
    except ImportError as error:
        raise CVMError(f"the native runtime is not installed ({error}); use the formal backend") from None
    return runtime.load(directory, **options)
