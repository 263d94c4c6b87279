"""LeakyReLU: a slope below zero, or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import number, refuse, text
from mrt.integer.context import QuantizeContext
from mrt.integer.look_up import look_up
from mrt.integer.qvalue import QValue
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class LeakyReLU(Operator):
    """max(x, 0) + slope * min(x, 0), with a slope per network, per channel, or a smooth negative part."""

    names = ("LeakyReLU",)
    summary = "leaky, prelu: relu(x) - slope * relu(-x); elu, selu, gelu: table"
    learned = (1,)
    passes_factors = True
    elementwise = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """rrelu is random in training only and has no fixed slope worth guessing."""
        if text(node, "act_type", "leaky") not in ("leaky", "prelu", "elu", "selu", "gelu"):
            raise refuse(
                node, f"act_type={node.attrs['act_type']} is not supported (leaky, prelu, elu, selu, gelu are)"
            )

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """prelu: each may have its slope."""
        x = channels.read(node)
        if text(node, "act_type", "leaky") == "prelu" and channels.shapes[node.inputs[1]] != (1,):
            if x.axis != 1:
                raise NotFollowedError(f"{node.op} {node.name} does not have them on axis 1")
            channels.cut(node, 1, 0, x.vector)
        channels.set(Value(node), x)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """leaky and prelu: relu(x) + (-slope) * relu(-x)."""
        kind = text(node, "act_type", "leaky")
        if kind == "leaky":
            slope = np.array([number(node, "slope", 0.25)])
        elif kind == "prelu":
            gamma = rw.constant(inputs[1])
            if gamma is None:
                raise refuse(node, "the slopes are not constant")
            rank = len(rw.shape(node.inputs[0]))
            slope = gamma.reshape((1, -1) + (1,) * (rank - 2)) if rank > 1 else gamma.reshape(-1)
        else:
            return None
        positive = rw.op("Activation", [inputs[0]], {"act_type": "relu"})
        negated = rw.op("broadcast_mul", [inputs[0], rw.param(np.array([-1.0]))])
        negative = rw.op("Activation", [negated], {"act_type": "relu"})
        scaled = rw.op("broadcast_mul", [negative, rw.param(-slope)])
        return [rw.op("elemwise_add", [positive, scaled])]

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue:
        """elu, selu, gelu: a table."""
        kind, slope = text(node, "act_type"), number(node, "slope", 0.25)

        def elu(x: Array) -> Array:
            return np.where(x > 0, x, slope * np.expm1(np.minimum(x, 0)))

        def selu(x: Array) -> Array:
            return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))

        def gelu(x: Array) -> Array:
            result: Array = 0.5 * x * (1 + special.erf(x / np.sqrt(2)))
            return result

        return look_up(node, ctx, node.inputs[0], {"elu": elu, "selu": selu, "gelu": gelu}[kind])
