"""Normalizations."""

from __future__ import annotations

from math import prod

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, of_rank
from mrt.frontends.onnx.values import Known, Live, Operand


def _per_channel(operand: Operand, rank: int, b: Builder) -> Operand:
    if isinstance(operand, Known):
        return known(operand.one.reshape((1, -1) + (1,) * (rank - 2)))
    assert isinstance(operand, Live)
    return b.reshape(operand, lambda shape: (1, prod(shape)) + (1,) * (rank - 2))


def _batch_norm(node: OnnxNode, b: Builder) -> list[Operand]:
    x, epsilon = node.live(0), node.number("epsilon", 1e-5)
    if node.integer("training_mode", 0):
        raise node.refuse("training_mode is not supported; export the model for inference")
    if not node.integer("spatial", 1) and x.rank > 2:
        raise node.refuse("spatial=0 is not supported")
    node.only_output()
    parameters = [node.given(position) for position in range(1, 5)]
    if x.rank < 2:
        raise node.refuse(f"data of shape {x.one} has no channels")
    if all(isinstance(each, Known) and each.fixed and each.one.size == x.one[1] for each in parameters):
        attrs = {"eps": epsilon, "fix_gamma": False, "use_global_stats": True, "axis": 1}
        return [b.op("BatchNorm", [x, *parameters], attrs)]
    gamma, beta, mean, variance = (_per_channel(each, x.rank, b) for each in parameters)
    deviation = b.op("rsqrt", [b.scaled(b.live(variance), 1, epsilon)])
    scaled = broadcast("broadcast_mul", broadcast("broadcast_sub", x, mean, b), deviation, b)
    return [broadcast("broadcast_add", broadcast("broadcast_mul", scaled, gamma, b), beta, b)]


def _affine(b: Builder, x: Live, gamma: Operand | None, beta: Operand | None) -> Live:
    """gamma * x + beta, broadcast."""
    if gamma is not None:
        x = broadcast("broadcast_mul", x, gamma, b)
    return x if beta is None else broadcast("broadcast_add", x, beta, b)


def normalized_rows(b: Builder, x: Live, epsilon: float, gamma: Operand | None, beta: Operand | None) -> Live:
    """MXNet's LayerNorm over the last axis."""
    width = x.one[-1]
    fits = [isinstance(each, Known) and each.fixed and each.one.size == width for each in (gamma, beta) if each]
    inside = all(fits)
    parameters = [
        known(np.asarray(each.one).reshape(-1)) if inside and isinstance(each, Known) else known(np.full(width, fill))
        for each, fill in ((gamma, 1.0), (beta, 0.0))
    ]
    result = b.op("LayerNorm", [x, *parameters], {"axis": -1, "eps": epsilon})
    return result if inside else _affine(b, result, gamma, beta)


def _layer_norm(node: OnnxNode, b: Builder) -> list[Operand]:
    """Over all axes from one on, side by side as one."""
    node.only_output()
    x, epsilon = node.live(0), node.number("epsilon", 1e-5)
    axis = node.axis(x.rank, -1)
    if x.batch is not None and x.batch >= axis:
        raise node.refuse("normalizing over the batch is not supported")
    gamma, beta = (node.given(position) if node.has(position) else None for position in (1, 2))
    if axis == x.rank - 1:
        return [normalized_rows(b, x, epsilon, gamma, beta)]
    flat = b.reshape(x, lambda shape: (*shape[:axis], prod(shape[axis:])))
    sides = [_flat(each, prod(x.one[axis:])) for each in (gamma, beta)]
    if all(each is None or side is not None for each, side in zip((gamma, beta), sides)):
        return [b.reshape_to(normalized_rows(b, flat, epsilon, *sides), x.one, x.two)]
    result = b.reshape_to(normalized_rows(b, flat, epsilon, None, None), x.one, x.two)
    return [_affine(b, result, gamma, beta)]


def _flat(operand: Operand | None, size: int) -> Operand | None:
    if isinstance(operand, Known) and operand.fixed and operand.one.size == size:
        return known(operand.one.reshape(-1))
    return None


def _instance_norm(node: OnnxNode, b: Builder) -> list[Operand]:
    x, epsilon = node.live(0), node.number("epsilon", 1e-5)
    if x.rank < 3:
        raise node.refuse(f"data of shape {x.one} has no spatial axes")
    gamma, beta = node.given(1), node.given(2)
    if isinstance(gamma, Known) and isinstance(beta, Known):
        return [b.op("InstanceNorm", [x, gamma, beta], {"eps": epsilon})]
    plain = b.op("InstanceNorm", [x, known(np.ones(x.one[1])), known(np.zeros(x.one[1]))], {"eps": epsilon})
    return [_affine(b, plain, _per_channel(gamma, x.rank, b), _per_channel(beta, x.rank, b))]


def _group_norm(node: OnnxNode, b: Builder) -> list[Operand]:
    """Each group normalized as one instance; factors per group before opset 21, per channel since."""
    x, epsilon, groups = node.live(0), node.number("epsilon", 1e-5), node.integer("num_groups")
    if x.rank < 3 or groups < 1 or x.one[1] % groups:
        raise node.refuse(f"{groups} groups do not fit data of shape {x.one}")
    flat = b.reshape(x, lambda shape: (shape[0], groups, prod(shape[1:]) // groups))
    plain = b.op("InstanceNorm", [flat, known(np.ones(groups)), known(np.zeros(groups))], {"eps": epsilon})
    if node.opset >= 21:
        result = b.reshape_to(plain, x.one, x.two)
        return [_affine(b, result, *(_per_channel(node.given(i), x.rank, b) for i in (1, 2)))]
    result = _affine(b, plain, *(_per_channel(node.given(i), 3, b) for i in (1, 2)))
    return [b.reshape_to(result, x.one, x.two)]


def _lrn(node: OnnxNode, b: Builder) -> list[Operand]:
    """x / (bias + alpha / size * sum of squares of neighbouring channels) ^ beta, as MXNet's where size is odd."""
    size = node.integer("size")
    if size % 2 == 0:
        raise node.refuse("an even size is not supported")
    attrs = {
        "nsize": size,
        "alpha": node.number("alpha", 1e-4),
        "beta": node.number("beta", 0.75),
        "knorm": node.number("bias", 1.0),
    }
    return [b.op("LRN", [node.live(0)], attrs)]


def _lp_norm(node: OnnxNode, b: Builder) -> list[Operand]:
    x, p = node.live(0), node.integer("p", 2)
    axis = node.axis(x.rank, -1)
    if p not in (1, 2):
        raise node.refuse(f"p={p} is not supported (1 and 2 are)")
    length = b.op("norm", [x], {"ord": p, "axis": axis, "keepdims": True})
    at_least = b.op("_maximum_scalar", [length], {"scalar": 1e-30})  # a row of zeros stays one
    return [broadcast("broadcast_div", x, at_least, b)]


def _rms_norm(node: OnnxNode, b: Builder) -> list[Operand]:
    """x / sqrt(mean x^2 + epsilon), times gamma."""
    node.only_output()
    x = node.live(0)
    axes = tuple(range(node.axis(x.rank, -1), x.rank))
    mean = b.op("mean", [b.op("square", [x])], {"axis": axes, "keepdims": True})
    plain = broadcast("broadcast_mul", x, b.op("rsqrt", [b.scaled(mean, 1, node.number("epsilon", 1e-5))]), b)
    return [broadcast("broadcast_mul", plain, of_rank(node.given(1), x.rank, b), b)]


TABLE: dict[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "RMSNormalization": _rms_norm,
    "LRN": _lrn,
    "LpNormalization": _lp_norm,
}
