"""Operators that do nothing at inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import refuse, text
from mrt.ops.base import Operator, Rewriter


class Identity(Operator):
    """Passes its input on."""

    names = (
        "identity",
        "_copy",
        "BlockGrad",
        "stop_gradient",
        "MakeLoss",
        "make_loss",
        "Cast",
        "cast",
    )
    summary = "removed"
    elementwise = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """A cast must be to a float type."""
        if self.counts(node):
            raise refuse(node, f"a cast to {text(node, 'dtype')} is not supported (to float types it is)")

    def counts(self, node: Node) -> bool:
        """A cast to an integer type does."""
        return node.op in ("Cast", "cast") and not text(node, "dtype").startswith("float")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The input."""
        return [inputs[0]]


class Loss(Operator):
    """Passes its input on, with a training loss."""

    names = ("LinearRegressionOutput", "MAERegressionOutput", "SVMOutput")
    summary = "removed, the label is dropped"
    compares = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The input."""
        return [inputs[0]]


class Dropout(Operator):
    """Identity, unless it also drops at inference."""

    names = ("Dropout",)
    summary = "removed"
    elementwise = True
    drops = True
    passes_factors = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """mode=always is random at inference."""
        if text(node, "mode", "training") == "always":
            raise refuse(node, "mode=always drops at inference, which has no exact result")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The input."""
        return [inputs[0]]
