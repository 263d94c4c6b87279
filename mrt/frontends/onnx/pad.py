"""Padding of any axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mrt.frontends.onnx.builder import Builder
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule
from mrt.frontends.onnx.values import Live, Operand

_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect"}


def padded(node: OnnxNode, b: Builder, x: Live, pads: Sequence[tuple[int, int]], mode: str, value: float) -> Live:
    """x with entries before and after those of each axis; a negative number of them takes some off."""
    for axis, (before, after) in enumerate(pads):
        if before < 0 or after < 0:
            x = b.slice(x, axis, max(0, -before), x.one[axis] + min(0, after))
    wanted = [(max(0, before), max(0, after)) for before, after in pads]
    if not any(before or after for before, after in wanted):
        return x
    if x.batch is not None and any(wanted[x.batch]):
        raise node.refuse("padding of the batch is not supported")
    if mode == "wrap" or (mode == "reflect" and any(max(p) >= n for p, n in zip(wanted, x.one) if any(p))):
        for axis, pair in enumerate(wanted):
            if any(pair):
                x = b.take(x, axis, np.pad(np.arange(x.one[axis]), pair, mode=mode))  # type: ignore[call-overload]
        return x
    if mode not in _MODES:
        raise node.refuse(f"mode={mode} is not supported (constant, edge, reflect and wrap are)")
    if x.rank in (4, 5) and not any(wanted[0]) and not any(wanted[1]):
        return _pad(b, x, wanted, mode, value)
    for axis, pair in enumerate(wanted):  # MXNet pads pictures only: a picture for each axis
        if any(pair):
            shape = x.one
            picture = b.reshape(x, lambda s, axis=axis: (prod(s[:axis]), 1, s[axis], prod(s[axis + 1 :])))  # type: ignore[misc]
            picture = _pad(b, picture, [(0, 0), (0, 0), pair, (0, 0)], mode, value)
            two = None if x.two is None else _longer(x.two, axis, pair)
            x = b.reshape_to(picture, _longer(shape, axis, pair), two)
    return x


def _longer(shape: tuple[int, ...], axis: int, pair: tuple[int, int]) -> tuple[int, ...]:
    return tuple(size + sum(pair) if i == axis else size for i, size in enumerate(shape))


def _pad(b: Builder, x: Live, pads: Sequence[tuple[int, int]], mode: str, value: float) -> Live:
    width = tuple(number for pair in pads for number in pair)
    return b.op("Pad", [x], {"mode": mode, "pad_width": width, "constant_value": value})


def _rule(node: OnnxNode, b: Builder) -> list[Operand]:
    """Pad: attributes before opset 11, inputs since, for some of the axes since 18."""
    x, mode = node.live(0), node.text("mode", "constant")
    if node.opset < 11:
        flat, value = node.integers("pads" if "pads" in node.attrs else "paddings"), node.number("value", 0.0)
    else:
        flat = tuple(int(number) for number in node.array(1).reshape(-1))
        value = float(node.array(2, np.zeros(1)).reshape(-1)[0]) if node.has(2) else 0.0
    axes = [node.in_rank(axis, x.rank) for axis in node.array(3).reshape(-1)] if node.has(3) else list(range(x.rank))
    if len(flat) != 2 * len(axes):
        raise node.refuse(f"{len(flat)} numbers of padding for {len(axes)} axes")
    pads = [(0, 0)] * x.rank
    for axis, before, after in zip(axes, flat[: len(axes)], flat[len(axes) :]):
        pads[axis] = (before, after)
    result = padded(node, b, x, pads, mode, value)
    return [b.op("identity", [result]) if result is x else result]


TABLE: dict[str, Rule] = {"Pad": _rule}
