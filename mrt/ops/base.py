"""What an operator is: its whole life, from the user's network to the CVM, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from mrt.graph.attrs import refuse
from mrt.graph.ir import Array, Node, Shape, Value
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue


class Rewriter(Protocol):
    """What an operator's `rewrite` rule can build with."""

    def op(self, op: str, inputs: Sequence[Value], attrs: Mapping[str, object] | None = None) -> Value:
        """A new node."""

    def param(self, array: Array) -> Value:
        """A new parameter (float32)."""

    def shape(self, value: Value) -> Shape:
        """The shape of a value of the graph being rewritten (batch 1)."""

    def open_shape(self, value: Value) -> Shape:
        """Likewise, with -1 for the axis that the batch makes longer."""

    def constant(self, value: Value) -> Array | None:
        """The array behind a value when it is a parameter."""


class Operator:
    """One operator, or a tight family; stateless.

    A subclass sets `names` and `summary` and overrides the rules that apply. An operator of the user's network either
    has a `rewrite` rule, which turns it into simpler operators in the prepare stage, or a `quantize` rule, which emits
    the target's.
    """

    names: ClassVar[tuple[str, ...]]
    summary: ClassVar[str]
    form: ClassVar[Form] = Form.WIDE
    moves: ClassVar[bool] = False
    """Whether it only rearranges values."""
    selects: ClassVar[bool] = False
    """Whether it decides what is kept, as a detection head does (`mrt.run.keys` leaves it to the float part)."""

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Refuse what cannot be handled, with an `MRTError` that names node and attribute."""

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """The values that replace the node's outputs, or None to keep it. `inputs` are the rewritten inputs."""
        return None

    def bounds(self, node: Node) -> tuple[float, float] | None:
        """The real bounds when the node is a clamp, which may then be absorbed by the form its output is stored in."""
        return None

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue | tuple[QValue, ...]:
        """Emit integer operators that compute the node and say what they stand for, each of several outputs."""
        raise refuse(node, "this operator has no integer form")

    @classmethod
    def has(cls, rule: str) -> bool:
        """Whether the operator overrides a rule."""
        return getattr(cls, rule) is not getattr(Operator, rule)
