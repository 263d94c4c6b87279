"""What is shown of a graph, whatever it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INPUT_OP = "input"
"""The operator of an input."""


@dataclass(frozen=True)
class Seen:
    """One node with the first tensor that it gives. Parameters are no nodes here.

    Attributes:
        name: unique in its graph.
        op: its operator; `INPUT_OP` of an input.
        inputs: names of the nodes that it reads, parameters left out.
        attrs: its attributes.
        shape: of what it gives, for one sample; empty where that is not known.
        precision: bits of its integers; None of real numbers.
        low: the smallest integer that is proven; `high`, the largest.
        scale: what the integers mean, real = scale * (q + offset), where that is known.
        parameters: how many numbers it holds.
        origin: names of the nodes of the user's network that it stands for.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    precision: int | None = None
    low: int | None = None
    high: int | None = None
    scale: str = ""
    parameters: int = 0
    origin: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """The shape in words."""
        return "x".join(map(str, self.shape))

    @property
    def bounds(self) -> str:
        """The range in words."""
        return "" if self.low is None else f"{self.low}..{self.high}"


@dataclass(frozen=True)
class View:
    """A graph: its nodes, inputs before users, and the names of those that give its outputs."""

    nodes: tuple[Seen, ...]
    outputs: tuple[str, ...]
