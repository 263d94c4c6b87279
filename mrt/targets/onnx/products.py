"""conv2d and dense: sums of products in float32, in parts that are exact in any order, added in int32."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from cvm.ops.base import Array

from mrt.errors import MRTError
from mrt.targets.onnx.writer import EXACT, Call, Made, Tensor, size


def conv2d(c: Call) -> Made:
    """Convolution; padding counts as 0."""
    a, groups = c.attrs, c.attrs.groups
    inputs = size(c.inputs[1].dims[1])
    attrs = {
        "kernel_shape": list(a.kernel_size),
        "strides": list(a.strides),
        "pads": [*a.padding, *a.padding],
        "dilations": list(a.dilation),
        "group": groups,
    }

    def product(part: Array, *bias: str) -> str:
        channels = (np.arange(groups)[:, None] * inputs + part).ravel()
        return c.op("Conv", _part(c, c.inputs[0], channels), _part(c, c.inputs[1], part), *bias, **attrs)

    return _summed(c, product, (-1, 1, 1))


def dense(c: Call) -> Made:
    """x w^T."""

    def product(part: Array, *bias: str) -> str:
        return c.op("Gemm", _part(c, c.inputs[0], part), _part(c, c.inputs[1], part), *bias, transB=1)

    return _summed(c, product, (-1,))


def _part(c: Call, x: Tensor, channels: Array) -> str:
    """Some channels of a tensor, in float32."""
    if len(channels) == x.dims[1]:
        return c.read(x, True)
    if x.known is None:
        return c.columns(c.read(x, True), channels, 1)
    return c.array(x.known[:, channels], True, f"{x.name}/{channels[0]}")


def _summed(c: Call, product: Callable[..., str], shape: tuple[int, ...]) -> Made:
    """The sum of `product(channels, *bias)` over parts of the input channels, and the bias, which has that shape."""
    weight, bias = c.inputs[1], c.inputs[2:]
    inputs = size(weight.dims[1])
    if c.accumulator <= EXACT:
        return Made(product(np.arange(inputs), *(c.read(b, True) for b in bias)), True, c.accumulator)
    parts = _parts(_reaches(c.inputs[0], weight))
    total = ""
    for part in parts:
        summand = c.cast(product(part), False)
        total = c.op("Add", total, summand) if total else summand
    for b in bias:
        total = c.op("Add", total, c.op("Reshape", c.read(b, False), c.index(shape)))
    return Made(total, False)


def _reaches(x: Tensor, weight: Tensor) -> Array:
    """For each output and input channel, how far its products can take a sum."""
    if weight.known is None:
        taps = prod(size(dim) for dim in weight.dims[2:])
        return np.full((1, size(weight.dims[1])), x.magnitude * weight.magnitude * taps, np.int64)
    sums = np.abs(weight.known.astype(np.int64)).reshape(*weight.known.shape[:2], -1).sum(axis=2)
    return np.asarray(sums * x.magnitude, np.int64)


def _parts(reaches: Array) -> list[Array]:
    """The fewest equal runs of input channels whose sums float32 holds; `MRTError` where one channel is too much."""
    inputs = reaches.shape[1]
    for count in range(1, inputs + 1):
        parts = np.array_split(np.arange(inputs), count)
        if all(reaches[:, part].sum(axis=1).max() <= EXACT for part in parts):
            return parts
    raise MRTError("the products of one channel do not fit float32")
