"""What the names of an ONNX graph stand for while it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from mrt.graph import Array, Shape, Value

FLOAT, INT, SMALL, BOOL = "float", "int", "small", "bool"
"""Kinds of entries: real numbers, integers of 32 or 64 bits, integers that wrap around sooner, truth values."""


@dataclass(frozen=True)
class Known:
    """An array that is known while reading: a weight, or what follows from shapes.

    Attributes:
        one: the array for a batch of one sample.
        two: for a batch of two; None where it cannot be told.
    """

    one: Array
    two: Array | None

    @property
    def fixed(self) -> bool:
        """Whether it is the same for any batch, as far as can be told."""
        if self.two is None:
            return True
        same_type = self.one.shape == self.two.shape
        return same_type and (self.one is self.two or bool(_equal(self.one, self.two)))

    @property
    def rank(self) -> int:
        """The number of axes."""
        return int(self.one.ndim)


@dataclass(frozen=True)
class Steps:
    """The integers that a tensor has in the ONNX model: scale * (q - zero) is what it stands for."""

    scale: Array
    zero: Array
    axis: int


@dataclass(frozen=True)
class Live:
    """A tensor that depends on the network's inputs.

    Attributes:
        value: the graph's value; of a scalar, it has one axis of one entry.
        one: its shape for a batch of one sample.
        two: for a batch of two; None where the model holds for a batch of one only.
        kind: of its entries, in the ONNX model.
        steps: where its entries are quantized integers in the ONNX model, their meaning; `value` is what they stand
            for.
    """

    value: Value
    one: Shape
    two: Shape | None
    kind: str = FLOAT
    steps: Steps | None = None

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.one)

    @property
    def batch(self) -> int | None:
        """The axis of the samples, where there is one."""
        if self.two is None:
            return None
        changed = [axis for axis, (a, b) in enumerate(zip(self.one, self.two)) if a != b]
        return changed[0] if len(changed) == 1 else None


@dataclass(frozen=True)
class CutOff:
    """What follows from a part that is left out.

    Attributes:
        leaves: what that part reads.
        node: the node that is left out.
    """

    leaves: tuple[Live, ...]
    node: str


Operand = Union[Known, Live, CutOff]


def _equal(a: Array, b: Array) -> bool:
    if a.dtype.kind == "f":
        return bool(((a == b) | ((a != a) & (b != b))).all())
    return bool((a == b).all())
