"""What the rules of all families share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.values import SMALL, CutOff, Known, Live, Operand

Rule = Callable[[OnnxNode, Builder], Sequence[Operand]]
"""Makes a node's outputs; of those that nothing reads, the last may be left out."""

_SCALAR = {
    "broadcast_add": ("_plus_scalar", "_plus_scalar"),
    "broadcast_sub": ("_minus_scalar", "_rminus_scalar"),
    "broadcast_mul": ("_mul_scalar", "_mul_scalar"),
    "broadcast_div": ("_div_scalar", "_rdiv_scalar"),
    "broadcast_power": ("_power_scalar", "_rpower_scalar"),
    "broadcast_maximum": ("_maximum_scalar", "_maximum_scalar"),
    "broadcast_minimum": ("_minimum_scalar", "_minimum_scalar"),
    "broadcast_mod": ("_mod_scalar", "_rmod_scalar"),
    "broadcast_equal": ("_equal_scalar", "_equal_scalar"),
    "broadcast_not_equal": ("_not_equal_scalar", "_not_equal_scalar"),
    "broadcast_greater": ("_greater_scalar", "_lesser_scalar"),
    "broadcast_greater_equal": ("_greater_equal_scalar", "_lesser_equal_scalar"),
    "broadcast_lesser": ("_lesser_scalar", "_greater_scalar"),
    "broadcast_lesser_equal": ("_lesser_equal_scalar", "_greater_equal_scalar"),
}
"""With a constant of one entry after and before the tensor."""


def of_rank(operand: Operand, rank: int, b: Builder) -> Operand:
    """The operand with axes of one entry before its own, as broadcasting adds them."""
    if isinstance(operand, Known):
        two = operand.two
        more = rank - operand.one.ndim
        one = operand.one.reshape((1,) * more + operand.one.shape)
        if operand.two is operand.one:
            return Known(one, one)
        return Known(one, None if two is None else two.reshape((1,) * (rank - two.ndim) + two.shape))
    assert isinstance(operand, Live)
    return b.reshape(operand, lambda shape: (1,) * (rank - len(shape)) + shape)


def broadcast(op: str, x: Operand, y: Operand, b: Builder, kind: str | None = None) -> Live:
    """An operator of two operands that broadcast against each other."""
    assert not isinstance(x, CutOff) and not isinstance(y, CutOff)  # nodes that read what was cut off are, too
    rank, kinds = max(x.rank, y.rank), [operand.kind for operand in (x, y) if isinstance(operand, Live)]
    for first, (operand, other) in enumerate(((x, y), (y, x))):
        single = isinstance(operand, Known) and operand.fixed and operand.one.size == 1 and operand.rank <= other.rank
        if single and isinstance(operand, Known) and isinstance(other, Live) and np.isfinite(operand.one).all():
            name = _SCALAR[op][1 if not first else 0]
            scalar = float(operand.one.reshape(-1)[0])
            return b.op(name, [other], {"scalar": scalar}, kind or kinds[0], scalar=not other.one)
    operands = [of_rank(operand, max(rank, 1), b) if rank else operand for operand in (x, y)]
    return b.op(op, operands, kind=kind or kinds[0], scalar=not rank)


def require_no_wrap(node: OnnxNode) -> None:
    """Refuse to compute with integers that wrap around within what a float32 would hold."""
    if any(isinstance(operand, Live) and operand.kind == SMALL for operand in node.inputs):
        raise node.refuse("computing with integers of 8 or 16 bits is not supported")


def unary(op: str, **attrs: object) -> Rule:
    """The rule of a function of each entry that MXNet has."""

    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        require_no_wrap(node)
        x = node.live(0)
        return [b.op(op, [x], attrs, scalar=not x.one)]

    return rule


def constant(value: float) -> Known:
    """A number."""
    return known(np.array(value, np.float64))
