"""A node of an ONNX graph with typed access to its attributes and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mrt.errors import MRTError
from mrt.frontends.onnx.values import Known, Live, Operand
from mrt.graph import Array


@dataclass(frozen=True)
class OnnxNode:
    """One operator application.

    Attributes:
        op: ONNX's name of the operator.
        domain: empty for ONNX's own.
        name: what the model calls the node, or its first output where it does not.
        inputs: what it reads; None for an optional input that is left out.
        attrs: its attributes.
        opset: the version of its operator set.
        outputs: the names of its outputs; empty for one that nothing reads.
    """

    op: str
    domain: str
    name: str
    inputs: Sequence[Operand | None]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 0
    outputs: Sequence[str] = ()

    def refuse(self, problem: str) -> MRTError:
        """The error for what cannot be read."""
        return MRTError(f"node {self.name} ({self.op}): {problem}; {_ADVICE}")

    def has(self, position: int) -> bool:
        """Whether it has this input."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def given(self, position: int) -> Operand:
        """An input that must be there."""
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise self.refuse(f"input {position} is missing")
        return found

    def live(self, position: int) -> Live:
        """An input that depends on the network's data."""
        found = self.given(position)
        if not isinstance(found, Live):
            raise self.refuse(f"input {position} is constant, which is not supported here")
        return found

    def known(self, position: int) -> Known:
        """An input that is known while reading."""
        found = self.given(position)
        if not isinstance(found, Known):
            raise self.refuse(f"input {position} depends on the network's data, only a constant is supported")
        return found

    def array(self, position: int, default: Array | None = None) -> Array:
        """An input that is the same for any batch."""
        if default is not None and not self.has(position):
            return default
        found = self.known(position)
        if not found.fixed:
            raise self.refuse(f"input {position} depends on the size of the batch, which is not supported here")
        return found.one

    def array_or_none(self, position: int) -> Array | None:
        """Likewise, None where it is left out."""
        return self.array(position) if self.has(position) else None

    def integers(self, key: str, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """A list of integers."""
        value = self.attrs.get(key, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, int) for item in value):
            raise self._missing(key)
        return tuple(value)

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer."""
        value = self.attrs.get(key, default)
        if not isinstance(value, int):
            raise self._missing(key)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A real number."""
        value = self.attrs.get(key, default)
        if not isinstance(value, (int, float)):
            raise self._missing(key)
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        """A word."""
        value = self.attrs.get(key, default)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if not isinstance(value, str):
            raise self._missing(key)
        return value

    def axis(self, rank: int, default: int | None = None, key: str = "axis") -> int:
        """An attribute that names one of the axes, counted from 0."""
        return self.in_rank(self.integer(key, default), rank)

    def in_rank(self, axis: int, rank: int) -> int:
        """An axis counted from 0; negative ones count from the end."""
        axis = int(axis)
        if not -rank <= axis < rank:
            raise self.refuse(f"axis {axis} is none of the tensor's {rank} axes")
        return axis % rank

    def only_output(self, count: int = 1) -> None:
        """Refuse where outputs beyond the first `count` are read."""
        more = [name for name in self.outputs[count:] if name]
        if more:
            raise self.refuse(f"its output {more[0]} is not supported")

    def _missing(self, key: str) -> MRTError:
        if key in self.attrs:
            return self.refuse(f"attribute {key}={self.attrs[key]!r:.60} is malformed")
        return self.refuse(f"attribute {key} is missing")


_ADVICE = "export the model without it, or cut it before there (onnx.utils.extract_model)"
