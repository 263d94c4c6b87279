"""One node of a model's graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INPUT = "data"
MAX_NAME = 4096
"""Most bytes of a variable's name."""


@dataclass(frozen=True)
class Node:
    """One node: a variable (op "null") or an operator; inputs are (node index, output index)."""

    op: str
    name: str
    inputs: tuple[tuple[int, int], ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_variable(self) -> bool:
        """Whether the node is the input or a parameter."""
        return self.op == "null"
