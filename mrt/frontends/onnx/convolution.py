"""Convolutions and what undoes them."""

from __future__ import annotations

from collections.abc import Sequence

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.pad import padded
from mrt.frontends.onnx.rules import Rule, broadcast
from mrt.frontends.onnx.values import Live, Operand
from mrt.graph import Array

Pairs = list[tuple[int, int]]


def spread(node: OnnxNode, key: str, default: int, axes: int) -> tuple[int, ...]:
    """An attribute of one number per spatial axis."""
    value = node.integers(key, (default,) * axes)
    if len(value) != axes or any(item < 1 for item in value):
        raise node.refuse(f"{key}={list(value)} does not fit {axes} spatial axes")
    return value


def padding(
    node: OnnxNode, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilate: Sequence[int]
) -> Pairs:
    """(before, after) of each spatial axis; `auto_pad` as ONNX defines it."""
    auto, axes = node.text("auto_pad", "NOTSET"), len(sizes)
    if auto in ("NOTSET", ""):
        flat = node.integers("pads", (0,) * (2 * axes))
        if len(flat) != 2 * axes:
            raise node.refuse(f"pads={list(flat)} does not fit {axes} spatial axes")
        return list(zip(flat[:axes], flat[axes:]))
    if auto == "VALID":
        return [(0, 0)] * axes
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"auto_pad={auto} is unknown")
    pairs = []
    for size, k, s, d in zip(sizes, kernel, stride, dilate):
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return pairs


def _conv(node: OnnxNode, b: Builder) -> list[Operand]:
    return [convolved(node, b, node.live(0), node.array(1), node.array_or_none(2))]


def convolved(node: OnnxNode, b: Builder, x: Live, weight: Array, bias: Array | None) -> Live:
    """What the attributes of a Conv say; padding that differs on both sides is a Pad before it."""
    axes = x.rank - 2
    if axes < 1 or weight.ndim != x.rank:
        raise node.refuse(f"weights of shape {weight.shape} do not fit data of shape {x.one}")
    kernel = tuple(weight.shape[2:])
    if node.integers("kernel_shape", kernel) != kernel:
        raise node.refuse(f"kernel_shape={list(node.integers('kernel_shape'))} is not that of the weights")
    groups = node.integer("group", 1)
    if groups < 1 or weight.shape[0] % groups or weight.shape[1] * groups != x.one[1]:
        raise node.refuse(f"weights of shape {weight.shape} do not fit {x.one[1]} channels in {groups} groups")
    stride, dilate = spread(node, "strides", 1, axes), spread(node, "dilations", 1, axes)
    pads = padding(node, x.one[2:], kernel, stride, dilate)
    if any(before != after or before < 0 for before, after in pads):
        x = padded(node, b, x, [(0, 0), (0, 0), *pads], "constant", 0.0)
        pads = [(0, 0)] * axes
    attrs = {
        "kernel": kernel,
        "stride": stride,
        "dilate": dilate,
        "pad": tuple(before for before, _ in pads),
        "num_filter": weight.shape[0],
        "num_group": groups,
        "no_bias": bias is None,
    }
    return b.op("Convolution", [x, known(weight), *([] if bias is None else [known(bias)])], attrs)


def _conv_transpose(node: OnnxNode, b: Builder) -> list[Operand]:
    """Padding takes entries off the result: what it takes off differently on both sides is sliced off."""
    x, weight, bias = node.live(0), node.array(1), node.array_or_none(2)
    axes = x.rank - 2
    if axes < 1 or weight.ndim != x.rank or weight.shape[0] != x.one[1]:
        raise node.refuse(f"weights of shape {weight.shape} do not fit data of shape {x.one}")
    kernel, groups = tuple(weight.shape[2:]), node.integer("group", 1)
    if groups < 1 or weight.shape[0] % groups:
        raise node.refuse(f"{weight.shape[0]} channels are not {groups} groups")
    stride, dilate = spread(node, "strides", 1, axes), spread(node, "dilations", 1, axes)
    extra = node.integers("output_padding", (0,) * axes)
    if len(extra) != axes or any(item < 0 for item in extra):
        raise node.refuse(f"output_padding={list(extra)} does not fit {axes} spatial axes")
    reach = [s * (size - 1) + (k - 1) * d + 1 for size, s, k, d in zip(x.one[2:], stride, kernel, dilate)]
    pads = _taken_off(node, x.one[2:], stride, [r + e for r, e in zip(reach, extra)], axes)
    flat = all(before == after >= 0 for before, after in pads) and all(e < s for e, s in zip(extra, stride))
    attrs = {
        "kernel": kernel,
        "stride": stride,
        "dilate": dilate,
        "pad": tuple(before for before, _ in pads) if flat else (0,) * axes,
        "adj": extra if flat else (0,) * axes,
        "num_filter": weight.shape[1] * groups,
        "num_group": groups,
        "no_bias": bias is None or not flat,
    }
    parameters = [known(weight), *([known(bias)] if flat and bias is not None else [])]
    result = b.op("Deconvolution", [x, *parameters], attrs)
    if flat:
        return [result]
    more = [(-before, e - after) for (before, after), e in zip(pads, extra)]  # beyond what the kernel reaches: zeros
    if any(after > 0 for _, after in more):
        result = padded(node, b, result, [(0, 0), (0, 0), *((0, max(0, after)) for _, after in more)], "constant", 0.0)
    for axis, (before, after) in enumerate(more, 2):
        if before < 0 or after < 0:
            end = result.one[axis] + min(0, after)
            result = b.slice(result, axis, -before, end)
    if bias is not None:
        result = broadcast("broadcast_add", result, known(bias.reshape((1, -1) + (1,) * axes)), b)
    return [result]


def _taken_off(node: OnnxNode, sizes: Sequence[int], stride: Sequence[int], full: Sequence[int], axes: int) -> Pairs:
    """How many entries are taken off on both sides of each axis."""
    wanted = node.integers("output_shape", ())
    auto = node.text("auto_pad", "NOTSET")
    if wanted:
        wanted = wanted[-axes:]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(size * s for size, s in zip(sizes, stride))
    else:
        return padding(node, sizes, (1,) * axes, stride, (1,) * axes)
    if len(wanted) != axes:
        raise node.refuse(f"output_shape={list(wanted)} does not fit {axes} spatial axes")
    pairs = []
    for have, want in zip(full, wanted):
        total = have - want
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return pairs


TABLE: dict[str, Rule] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
"""The operators of this family."""
