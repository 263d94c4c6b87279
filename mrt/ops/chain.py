"""Functions of functions of one tensor, as one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np

from mrt.graph import Array, Node
from mrt.integer.context import QuantizeContext
from mrt.integer.look_up import look_up
from mrt.integer.qvalue import QValue
from mrt.ops.base import Operator
from mrt.ops.unary import function_of

CHAIN = "mrt_chain"
Step = tuple[str, Mapping[str, str]]
"""An MXNet operator of one tensor with its attributes."""


class Chain(Operator):
    """The steps of its attribute, one after the other; what `mrt.transform.fuse_functions` makes of them."""

    names = (CHAIN,)
    summary = "what functions of functions are fused to: one table"
    elementwise = True

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """A table of what the steps come to."""
        functions = [step_function(*step) for step in _steps(node)]

        def composed(x: Array) -> Array:
            with np.errstate(over="ignore", divide="ignore"):
                for function in functions:
                    assert function is not None
                    x = function(x)
            return np.nan_to_num(x)

        return look_up(node, ctx, node.inputs[0], composed)


def step_of(node: Node, constant: Array | None) -> Step | None:
    """The node as a step, or None where it cannot be one; `constant` is its second operand where that is one."""
    scalar = {"broadcast_mul": "_mul_scalar", "broadcast_add": "_plus_scalar"}.get(node.op)
    if scalar:
        alone = constant is not None and constant.size == 1
        return (scalar, {"scalar": repr(float(constant.reshape(())))}) if constant is not None and alone else None
    return (node.op, dict(node.attrs)) if step_function(node.op, node.attrs) else None


def chain_attributes(steps: Sequence[Step]) -> dict[str, str]:
    """The attributes of a chain."""
    return {"steps": json.dumps(steps)}


def step_function(op: str, attrs: Mapping[str, str]) -> Callable[[Array], Array] | None:
    """What a step computes, or None where it cannot be one."""
    if op == "_mul_scalar":
        return lambda x: x * float(attrs["scalar"])
    if op == "_plus_scalar":
        return lambda x: x + float(attrs["scalar"])
    if op == "clip":
        return lambda x: np.clip(x, float(attrs["a_min"]), float(attrs["a_max"]))
    if op == "Activation":
        return (lambda x: np.maximum(x, 0)) if attrs["act_type"] == "relu" else None
    return function_of(op, attrs)


def _steps(node: Node) -> list[Step]:
    return [(op, attrs) for op, attrs in json.loads(node.attrs["steps"])]
