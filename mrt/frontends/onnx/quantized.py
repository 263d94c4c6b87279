"""Quantized models, in real numbers: integers stand for what they mean, and their range becomes a clamp.

The rounding of weights is kept, that of tensors is left out: MRT makes its own.
"""

from __future__ import annotations

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.convolution import convolved
from mrt.frontends.onnx.matmul import product
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast
from mrt.frontends.onnx.values import Known, Live, Operand, Steps
from mrt.graph import Array


def _steps(node: OnnxNode, position: int, axis: int = 0) -> Steps:
    scale = node.array(position).astype(np.float64)
    zero = node.array(position + 1, np.zeros(scale.shape, np.uint8))
    return Steps(scale, zero, axis)


def _aligned(array: Array, axis: int, rank: int) -> Array:
    """Per-axis numbers with axes of one entry around theirs."""
    if array.size == 1:
        return array.reshape((1,) * rank)
    return array.reshape(tuple(-1 if i == axis else 1 for i in range(rank)))


def real(node: OnnxNode, q: Array, steps: Steps) -> Array:
    """What an array of integers stands for."""
    scale, zero = (_aligned(each.astype(np.float64), steps.axis, q.ndim) for each in (steps.scale, steps.zero))
    result: Array = (q.astype(np.float64) - zero) * scale
    return result


def _clamped(node: OnnxNode, b: Builder, x: Live, steps: Steps) -> Live:
    """x within what the integers can represent, and marked as such."""
    if steps.zero.dtype.kind not in "iu":
        raise node.refuse(f"quantization to {steps.zero.dtype} is not supported")
    limits = np.iinfo(steps.zero.dtype)
    scale, zero = steps.scale.astype(np.float64), steps.zero.astype(np.float64)
    low, high = (limits.min - zero) * scale, (limits.max - zero) * scale
    if steps.scale.size == 1:
        x = b.op("clip", [x], {"a_min": float(low.reshape(-1)[0]), "a_max": float(high.reshape(-1)[0])})
    else:
        bounds = [known(_aligned(bound, steps.axis, x.rank)) for bound in (low, high)]
        x = broadcast("broadcast_minimum", broadcast("broadcast_maximum", x, bounds[0], b), bounds[1], b)
    return Live(x.value, x.one, x.two, x.kind, steps)


def _quantize(node: OnnxNode, b: Builder) -> list[Operand]:
    if node.integer("block_size", 0):
        raise node.refuse("quantization in blocks is not supported")
    x = node.live(0)
    axis = node.axis(x.rank, 1) if x.rank > 1 else 0
    if not node.has(2) and node.integer("output_dtype", 0) not in (0, 2):
        raise node.refuse("output_dtype without a zero point is not supported")
    return [_clamped(node, b, x, _steps(node, 1, axis))]


def _dequantize(node: OnnxNode, b: Builder) -> list[Operand]:
    """Of integers quantized here, what they stand for; of others, by its scale and zero point."""
    if node.integer("block_size", 0):
        raise node.refuse("quantization in blocks is not supported")
    x = node.given(0)
    assert isinstance(x, (Known, Live))
    steps = _steps(node, 1, node.axis(x.rank, 1) if x.rank > 1 else 0)
    return [_meant(node, b, x, steps) if isinstance(x, Live) else known(real(node, node.array(0), steps))]


def _meant(node: OnnxNode, b: Builder, x: Live, steps: Steps) -> Live:
    if x.steps is None:
        zero, scale = (_aligned(each.astype(np.float64), steps.axis, x.rank) for each in (steps.zero, steps.scale))
        shifted = broadcast("broadcast_sub", x, known(zero), b, "float")
        return broadcast("broadcast_mul", shifted, known(scale), b)
    same = all(
        a.shape == c.shape and (a == c).all() for a, c in ((x.steps.scale, steps.scale), (x.steps.zero, steps.zero))
    )
    if not same:
        raise node.refuse("its scale or zero point is not that with which its input was quantized")
    return Live(x.value, x.one, x.two)


def _operand(node: OnnxNode, b: Builder, position: int, axis: int = 0) -> Operand:
    """A quantized operand with its scale and zero point after it, in real numbers."""
    given, steps = node.given(position), _steps(node, position + 1, axis)
    if isinstance(given, Known):
        return known(real(node, node.array(position), steps))
    assert isinstance(given, Live)
    return _meant(node, b, given, steps)


def _conv(node: OnnxNode, b: Builder) -> list[Operand]:
    """x, w and y with their scales and zero points, and a bias in steps of x's times w's."""
    x, weight = _operand(node, b, 0), _operand(node, b, 3)
    if not isinstance(x, Live) or not isinstance(weight, Known):
        raise node.refuse("weights must be constant, and data not")
    bias = None
    if node.has(8):
        bias = node.array(8) * (node.array(1).astype(np.float64) * node.array(4).astype(np.float64))
    result = convolved(node, b, x, weight.one, bias)
    return [_clamped(node, b, result, _steps(node, 6))]


def _matmul(node: OnnxNode, b: Builder) -> list[Operand]:
    x, y = _operand(node, b, 0), _operand(node, b, 3, 1)
    return [_clamped(node, b, product(node, b, x, y), _steps(node, 6))]


TABLE: dict[str, Rule] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
}
