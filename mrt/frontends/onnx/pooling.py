"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.convolution import padding, spread
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.pad import padded
from mrt.frontends.onnx.rules import Rule, broadcast, require_no_wrap
from mrt.frontends.onnx.values import Live, Operand
from mrt.graph import Array


class _Window:
    """Where the windows of a pooling operator lie."""

    def __init__(self, node: OnnxNode, x: Live) -> None:
        axes = x.rank - 2
        if axes < 1:
            raise node.refuse(f"data of shape {x.one} has no spatial axes")
        self.sizes = x.one[2:]
        self.kernel = spread(node, "kernel_shape", 0, axes)
        self.stride = spread(node, "strides", 1, axes)
        self.dilate = spread(node, "dilations", 1, axes)
        self.pads = padding(node, self.sizes, self.kernel, self.stride, self.dilate)
        if any(before < 0 or after < 0 for before, after in self.pads):
            raise node.refuse("negative padding is not supported")
        up = bool(node.integer("ceil_mode", 0)) and node.text("auto_pad", "NOTSET") in ("NOTSET", "")
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilate)]
        self.counts, self.extra = [], []
        for size, (before, after), k, s in zip(self.sizes, self.pads, reach, self.stride):
            span = size + before + after - k
            if span < 0:
                raise node.refuse(f"windows of {k} are larger than {size} entries with their padding")
            count = (-(-span // s) if up else span // s) + 1
            if up and (count - 1) * s >= size + before:
                count -= 1  # a window that would begin in the padding after the data
            self.counts.append(count)
            self.extra.append(max(0, (count - 1) * s + k - (size + before + after)))

    @property
    def even(self) -> bool:
        """Whether both sides are padded alike."""
        return all(before == after for before, after in self.pads)

    @property
    def covers(self) -> bool:
        """Whether there is one window, over all."""
        return self.kernel == self.sizes and not any(map(any, self.pads)) and all(c == 1 for c in self.counts)

    def taps(self, padded_too: bool) -> Array:
        """How many entries each window averages over, (1, 1, …)."""
        result = np.ones((1, 1))
        for size, (before, after), k, s, d, count in zip(
            self.sizes, self.pads, self.kernel, self.stride, self.dilate, self.counts
        ):
            places = np.arange(count)[:, None] * s - before + np.arange(k)[None] * d
            low, high = (-before, size + after) if padded_too else (0, size)
            inside = ((places >= low) & (places < high)).sum(1)
            result = result[..., None] * inside
        return result

    def attrs(self, kind: str, plain: bool = False) -> dict[str, object]:
        """Of MXNet's Pooling; `plain` where the data is padded already."""
        pad = tuple(0 if plain else before for before, _ in self.pads)
        return {"kernel": self.kernel, "stride": self.stride, "pad": pad, "pool_type": kind}

    def around(self) -> list[tuple[int, int]]:
        """The padding of all axes, with what the last windows reach beyond it."""
        return [(0, 0), (0, 0), *((before, after + more) for (before, after), more in zip(self.pads, self.extra))]


def _max(node: OnnxNode, b: Builder) -> list[Operand]:
    node.only_output()
    x = node.live(0)
    window = _Window(node, x)
    if any(after >= k for (_, after), k in zip(window.pads, window.kernel)):
        raise node.refuse("padding as wide as the window is not supported")
    if any(d > 1 for d in window.dilate):
        return [_dilated(node, b, x, window)]
    if window.even and all(before < k for (before, _), k in zip(window.pads, window.kernel)):
        if not any(window.extra):
            return [b.op("Pooling", [x], window.attrs("max"))]
        full = [-(-(n + 2 * p - k) // s) + 1 for n, (p, _), k, s in zip(*_parts(window))]
        if full == window.counts:
            return [b.op("Pooling", [x], {**window.attrs("max"), "pooling_convention": "full"})]
    # A window that reaches into the padding has the border's entry, too, which may so stand for the padding.
    around = padded(node, b, x, window.around(), "edge", 0.0)
    return [b.op("Pooling", [around], window.attrs("max", plain=True))]


def _parts(window: _Window) -> tuple[Sequence[int], Sequence[tuple[int, int]], Sequence[int], Sequence[int]]:
    return window.sizes, window.pads, window.kernel, window.stride


def _dilated(node: OnnxNode, b: Builder, x: Live, window: _Window) -> Live:
    """The maximum over the taps of slices of the data, far below all data where it is padded."""
    if any(map(any, window.around())):
        raise node.refuse("dilations with padding are not supported")
    result: Live | None = None
    for tap in np.ndindex(*window.kernel):
        part = x
        begin = [t * d for t, d in zip(tap, window.dilate)]
        end = [start + (count - 1) * s + 1 for start, count, s in zip(begin, window.counts, window.stride)]
        attrs = {
            "begin": (None, None, *begin),
            "end": (None, None, *end),
            "step": (None, None, *window.stride),
        }
        part = b.op("slice", [x], attrs)
        result = part if result is None else broadcast("broadcast_maximum", result, part, b)
    assert result is not None
    return result


def _average(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    window = _Window(node, x)
    include = bool(node.integer("count_include_pad", 0))
    if window.covers:
        return [b.op("Pooling", [x], {**window.attrs("avg"), "global_pool": True})]
    plain = window.even and not any(window.extra) and all(d == 1 for d in window.dilate)
    if plain and all(before < k for (before, _), k in zip(window.pads, window.kernel)):
        return [b.op("Pooling", [x], {**window.attrs("avg"), "count_include_pad": include})]
    total = _summed(node, b, x, window)
    return [broadcast("broadcast_mul", total, known(1 / np.maximum(window.taps(include), 1)), b)]


def _summed(node: OnnxNode, b: Builder, x: Live, window: _Window) -> Live:
    """The sums over the windows, as a convolution of each channel with ones."""
    around = padded(node, b, x, window.around(), "constant", 0.0)
    attrs = {
        "kernel": window.kernel,
        "stride": window.stride,
        "dilate": window.dilate,
        "pad": (0,) * len(window.kernel),
        "num_filter": x.one[1],
        "num_group": x.one[1],
        "no_bias": True,
    }
    return b.op("Convolution", [around, known(np.ones((x.one[1], 1, *window.kernel)))], attrs)


def _power(node: OnnxNode, b: Builder) -> list[Operand]:
    """LpPool: the p-th root of the sum of p-th powers of magnitudes."""
    x, p = node.live(0), node.integer("p", 2)
    window = _Window(node, x)
    return [_root(b, _summed(node, b, _raised(b, x, p), window), p)]


def _global_power(node: OnnxNode, b: Builder) -> list[Operand]:
    x, p = node.live(0), node.integer("p", 2)
    axes = tuple(range(2, x.rank))
    return [_root(b, b.op("sum", [_raised(b, x, p)], {"axis": axes, "keepdims": True}), p)]


def _raised(b: Builder, x: Live, p: int) -> Live:
    return b.op("square", [x]) if p == 2 else b.op("_power_scalar", [b.op("abs", [x])], {"scalar": float(p)})


def _root(b: Builder, x: Live, p: int) -> Live:
    return b.op("sqrt", [x]) if p == 2 else b.op("_power_scalar", [x], {"scalar": 1 / p})


def _global(kind: str) -> Rule:
    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        require_no_wrap(node)
        x = node.live(0)
        if x.rank < 3:
            raise node.refuse(f"data of shape {x.one} has no spatial axes")
        if x.rank > 5:
            name = {"avg": "mean", "max": "max"}[kind]
            return [b.op(name, [x], {"axis": tuple(range(2, x.rank)), "keepdims": True})]
        return [b.op("Pooling", [x], {"kernel": (1,) * (x.rank - 2), "pool_type": kind, "global_pool": True})]

    return rule


TABLE: dict[str, Rule] = {
    "MaxPool": _max,
    "AveragePool": _average,
    "LpPool": _power,
    "GlobalAveragePool": _global("avg"),
    "GlobalMaxPool": _global("max"),
    "GlobalLpPool": _global_power,
}
