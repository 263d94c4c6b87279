"""Functions between layers."""

from __future__ import annotations

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, of_rank, unary
from mrt.frontends.onnx.values import FLOAT, Known, Live, Operand


def _with_alpha(kind: str, default: float) -> Rule:
    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        x = node.live(0)
        attrs = {"act_type": kind, "slope": node.number("alpha", default)}
        return [b.op("LeakyReLU", [x], attrs, scalar=not x.one)]

    return rule


def _selu(node: OnnxNode, b: Builder) -> list[Operand]:
    alpha, gamma = node.number("alpha", 1.6732632423543772), node.number("gamma", 1.0507009873554805)
    return [b.scaled(b.op("LeakyReLU", [node.live(0)], {"act_type": "elu", "slope": alpha}), gamma)]


def _celu(node: OnnxNode, b: Builder) -> list[Operand]:
    """alpha * elu(x / alpha)."""
    alpha = node.number("alpha", 1.0)
    inner = b.scaled(node.live(0), 1 / alpha)
    return [b.scaled(b.op("LeakyReLU", [inner], {"act_type": "elu", "slope": 1.0}), alpha)]


def _hard_sigmoid(node: OnnxNode, b: Builder) -> list[Operand]:
    attrs = {"alpha": node.number("alpha", 0.2), "beta": node.number("beta", 0.5)}
    return [b.op("hard_sigmoid", [node.live(0)], attrs)]


def _hard_swish(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    return [broadcast("broadcast_mul", x, b.op("hard_sigmoid", [x], {"alpha": 1 / 6, "beta": 0.5}), b)]


def _swish(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    gate = b.op("sigmoid", [b.scaled(x, node.number("alpha", 1.0))])
    return [broadcast("broadcast_mul", x, gate, b)]


def _mish(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    return [broadcast("broadcast_mul", x, b.op("tanh", [b.op("Activation", [x], {"act_type": "softrelu"})]), b)]


def _gelu(node: OnnxNode, b: Builder) -> list[Operand]:
    """x * (1 + erf(x / sqrt 2)) / 2, or with tanh(sqrt(2 / pi) * (x + 0.044715 x^3)) in place of erf."""
    x = node.live(0)
    approximate = node.text("approximate", "none")
    if approximate == "none":
        return [b.op("LeakyReLU", [x], {"act_type": "gelu"})]
    if approximate != "tanh":
        raise node.refuse(f"approximate={approximate} is not supported (none and tanh are)")
    cube = b.op("_power_scalar", [x], {"scalar": 3.0})
    inner = broadcast("broadcast_add", x, b.scaled(cube, 0.044715), b)
    gate = b.scaled(b.op("tanh", [b.scaled(inner, float(np.sqrt(2 / np.pi)))]), 0.5, 0.5)
    return [broadcast("broadcast_mul", x, gate, b)]


def _prelu(node: OnnxNode, b: Builder) -> list[Operand]:
    """A slope for each channel is MXNet's own; others are max(x, 0) + slope * min(x, 0)."""
    x, slope = node.live(0), node.given(1)
    if isinstance(slope, Known) and slope.fixed and x.rank >= 2:
        array = slope.one
        aligned = array.reshape((1,) * (x.rank - array.ndim) + array.shape) if array.ndim <= x.rank else array
        if aligned.size in (1, x.one[1]) and aligned.size == aligned.shape[1]:
            flat = np.broadcast_to(aligned.reshape(-1), (x.one[1],))
            return [b.op("LeakyReLU", [x, known(flat.copy())], {"act_type": "prelu"}, kind=x.kind)]
    negative = b.op("_minimum_scalar", [x], {"scalar": 0.0})
    scaled = broadcast("broadcast_mul", negative, of_rank(slope, max(x.rank, 1), b), b)
    return [broadcast("broadcast_add", b.op("relu", [x]), scaled, b)]


def _thresholded(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    kept = b.op("_greater_scalar", [x], {"scalar": node.number("alpha", 1.0)}, FLOAT)
    return [broadcast("broadcast_mul", x, kept, b)]


def _shrink(node: OnnxNode, b: Builder) -> list[Operand]:
    """x + bias below -lambd, x - bias above it, else 0."""
    x, limit, bias = node.live(0), node.number("lambd", 0.5), node.number("bias", 0.0)
    parts: list[Live] = []
    for compare, bound, shift in (("_lesser_scalar", -limit, bias), ("_greater_scalar", limit, -bias)):
        kept = b.op(compare, [x], {"scalar": bound}, FLOAT)
        parts.append(broadcast("broadcast_mul", b.scaled(x, 1, shift), kept, b))
    return [broadcast("broadcast_add", parts[0], parts[1], b)]


TABLE: dict[str, Rule] = {
    "Relu": unary("relu"),
    "LeakyRelu": _with_alpha("leaky", 0.01),
    "Elu": _with_alpha("elu", 1.0),
    "Selu": _selu,
    "Celu": _celu,
    "Sigmoid": unary("sigmoid"),
    "Tanh": unary("tanh"),
    "Softplus": unary("Activation", act_type="softrelu"),
    "Softsign": unary("softsign"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Swish": _swish,
    "Mish": _mish,
    "Gelu": _gelu,
    "PRelu": _prelu,
    "ThresholdedRelu": _thresholded,
    "Shrink": _shrink,
}
