"""The operator registry: one file per operator or tight family, found by MXNet name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from mrt.errors import MRTError
from mrt.graph.ir import Node
from mrt.ops.base import Layer, Operator, Rewriter

__all__ = ["Layer", "Operator", "Rewriter", "documentation", "get", "known", "layer", "of"]

_NONE = Operator()


@lru_cache(maxsize=1)
def _registry() -> dict[str, Operator]:
    registry: dict[str, Operator] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name == "base":
            continue
        for item in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(item, type) and issubclass(item, Operator) and "names" in vars(item):
                registry.update(dict.fromkeys(item.names, item()))
    return registry


def known(name: str) -> bool:
    """Whether an MXNet operator name is supported."""
    return name in _registry()


def get(name: str) -> Operator:
    """The operator behind an MXNet name.

    Raises:
        MRTError: it is not supported.
    """
    if name not in _registry():
        raise MRTError(f"operator {name} is not supported")
    return _registry()[name]


def of(node: Node) -> Operator:
    """The operator of a node; of a variable, or of one that is not supported, an operator without any trait or rule."""
    return _registry().get(node.op, _NONE)


def layer(node: Node) -> Layer | None:
    """The operator of a node where that is a layer."""
    found = of(node)
    return found if isinstance(found, Layer) else None


def documentation() -> str:
    """The Markdown table of supported operators, for the documentation."""
    rows = ["| operator | what becomes of it | rewrite | quantize |", "|---|---|---|---|"]
    seen: set[int] = set()
    for name in sorted(_registry(), key=str.lower):
        operator = _registry()[name]
        if id(operator) in seen:
            continue
        seen.add(id(operator))
        marks = " | ".join("yes" if operator.has(rule) else "" for rule in ("rewrite", "quantize"))
        names = ", ".join(f"`{n}`" for n in operator.names)
        rows.append(f"| {names} | {operator.summary} | {marks} |")
    return "\n".join(rows) + "\n"
