"""Resize and Upsample: along each axis, every entry of the result is a sum of few entries, times constants."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast
from mrt.frontends.onnx.values import Live, Operand
from mrt.graph import Array

_NEAREST: dict[str, Callable[[float], float]] = {
    "round_prefer_floor": lambda x: ceil(x - 0.5),
    "round_prefer_ceil": lambda x: floor(x + 0.5),
    "floor": floor,
    "ceil": ceil,
}


def _upsample(node: OnnxNode, b: Builder) -> list[Operand]:
    """The operator before Resize: asymmetric, towards the floor."""
    x = node.live(0)
    given = node.attrs.get("scales")
    scales = np.asarray(given, np.float64) if given is not None else node.array(1).reshape(-1).astype(np.float64)
    mode = node.text("mode", "nearest")
    how = _How(mode, "asymmetric", "floor", -0.75, False, False, 0.0)
    return [_resized(node, b, x, scales, None, how, [(0.0, 1.0)] * x.rank)]


def _resize(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    if node.opset < 11:
        how = _How(node.text("mode", "nearest"), "asymmetric", "floor", -0.75, False, False, 0.0)
        return [_resized(node, b, x, node.array(1).reshape(-1).astype(np.float64), None, how, [(0.0, 1.0)] * x.rank)]
    how = _How(
        node.text("mode", "nearest"),
        node.text("coordinate_transformation_mode", "half_pixel"),
        node.text("nearest_mode", "round_prefer_floor"),
        node.number("cubic_coeff_a", -0.75),
        bool(node.integer("exclude_outside", 0)),
        bool(node.integer("antialias", 0)),
        node.number("extrapolation_value", 0.0),
    )
    axes = [node.in_rank(axis, x.rank) for axis in node.integers("axes", tuple(range(x.rank)))]
    scales, sizes = np.ones(x.rank), None
    if node.has(3):
        wanted = [float(size) for size in _along_batch(node, x, node.known(3).one, axes)]
        sizes = np.array(x.one, np.float64)
        policy = node.text("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratios = [size / x.one[axis] for axis, size in zip(axes, wanted)]
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            wanted = [float(floor(ratio * x.one[axis] + 0.5)) for axis in axes]
            scales[axes] = ratio
        for axis, size in zip(axes, wanted):
            sizes[axis] = size
            if policy == "stretch":
                scales[axis] = size / x.one[axis]
    elif node.has(2) and node.known(2).one.size:
        scales[axes] = node.array(2).reshape(-1)
    else:
        raise node.refuse("neither scales nor sizes are given")
    regions = [(0.0, 1.0)] * x.rank
    if how.coordinates == "tf_crop_and_resize":
        flat = node.array(1).reshape(-1)
        for axis, begin, end in zip(axes, flat[: len(axes)], flat[len(axes) :]):
            regions[axis] = (float(begin), float(end))
    return [_resized(node, b, x, scales, sizes, how, regions)]


def _along_batch(node: OnnxNode, x: Live, sizes: Array, axes: list[int]) -> list[int]:
    """The sizes, which must leave the batch as it is."""
    flat = [int(size) for size in sizes.reshape(-1)]
    if len(flat) != len(axes) or any(size < 1 for size in flat):
        raise node.refuse(f"sizes={flat} do not fit data of shape {x.one}")
    return flat


class _How:
    """The attributes that say how."""

    def __init__(
        self, mode: str, coordinates: str, nearest: str, cubic: float, exclude: bool, antialias: bool, outside: float
    ) -> None:
        self.mode = mode
        self.coordinates = coordinates
        self.nearest = nearest
        self.cubic = cubic
        self.exclude = exclude
        self.antialias = antialias
        self.outside = outside


def _resized(
    node: OnnxNode,
    b: Builder,
    x: Live,
    scales: Array,
    sizes: Array | None,
    how: _How,
    regions: list[tuple[float, float]],
) -> Live:
    if len(scales) != x.rank or (scales <= 0).any():
        raise node.refuse(f"scales={scales.tolist()} do not fit data of shape {x.one}")
    start, outside = x, []
    for axis, (before, scale) in enumerate(zip(x.one, scales)):
        after = int(sizes[axis]) if sizes is not None else floor(before * float(scale))
        region = regions[axis]
        if scale == 1 and after == before and region == (0.0, 1.0):
            continue
        if axis == x.batch:
            raise node.refuse("resizing the batch is not supported")
        if after < 1 or after > 2**16:
            raise node.refuse(f"a result of {after} entries along axis {axis}")
        places = np.array([_place(node, how, i, before, after, float(scale), region) for i in range(after)])
        x = _along(node, b, x, axis, places, float(scale), how)
        if how.coordinates == "tf_crop_and_resize":
            outside.append((axis, (places < 0) | (places > before - 1)))
    if x is start:
        return b.op("identity", [x])
    for axis, beyond in outside:
        if beyond.any():
            shape = tuple(len(beyond) if i == axis else 1 for i in range(x.rank))
            kept = broadcast("broadcast_mul", x, known((~beyond).astype(np.float64).reshape(shape)), b)
            x = broadcast("broadcast_add", kept, known((how.outside * beyond).reshape(shape)), b)
    return x


def _place(
    node: OnnxNode, how: _How, i: int, before: int, after: int, scale: float, region: tuple[float, float]
) -> float:
    """Where among the entries that number `i` of the result lies."""
    begin, end = region
    exact = scale * before
    if how.coordinates == "asymmetric":
        return i / scale
    if how.coordinates == "align_corners":
        return 0.0 if exact == 1 or after == 1 else i * (before - 1) / (exact - 1)
    if how.coordinates == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if after > 1 else -0.5
    if how.coordinates == "half_pixel_symmetric":
        centre = before / 2
        return centre * (1 - after / exact) + (i + 0.5) / scale - 0.5
    if how.coordinates == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if how.coordinates == "tf_crop_and_resize":
        if after > 1:
            return begin * (before - 1) + i * (end - begin) * (before - 1) / (after - 1)
        return 0.5 * (begin + end) * (before - 1)
    if how.coordinates != "half_pixel":
        raise node.refuse(f"coordinate_transformation_mode={how.coordinates} is unknown")
    return (i + 0.5) / scale - 0.5


def _along(node: OnnxNode, b: Builder, x: Live, axis: int, places: Array, scale: float, how: _How) -> Live:
    """The result along one axis."""
    before = x.one[axis]
    if how.mode == "nearest":
        if how.nearest not in _NEAREST:
            raise node.refuse(f"nearest_mode={how.nearest} is unknown")
        index = np.array([_NEAREST[how.nearest](float(place)) for place in places])
        return _picked(b, x, axis, np.clip(index, 0, before - 1).astype(int))
    if how.mode not in ("linear", "bilinear", "cubic", "bicubic", "trilinear"):
        raise node.refuse(f"mode={how.mode} is unknown")
    cubic = "cubic" in how.mode
    taps, weights = _taps(places, before, scale, how, cubic)
    return _combined(b, x, axis, taps, weights)


def _picked(b: Builder, x: Live, axis: int, index: Array) -> Live:
    """Entries at constant places; each of them as often after each other where that is what it is."""
    times, rest = divmod(len(index), x.one[axis])
    if not rest and (index == np.repeat(np.arange(x.one[axis]), times)).all():
        return b.op("repeat", [x], {"repeats": times, "axis": axis})
    return b.take(x, axis, index)


def _taps(places: Array, before: int, scale: float, how: _How, cubic: bool) -> tuple[Array, Array]:
    """The neighbours of each place, (T, after), and their weights."""
    stretch = min(1.0, scale) if how.antialias else 1.0
    reach = (2 if cubic else 1) / stretch
    first = np.floor(places - reach).astype(int) + (1 if stretch == 1 else 0)
    count = 2 * ceil(reach) if stretch == 1 else 2 * ceil(reach) + 2
    taps = first[None] + np.arange(count)[:, None]
    distance = np.abs(taps - places[None]) * stretch
    weights = _cubic(distance, how.cubic) if cubic else np.maximum(0.0, 1 - distance)
    if how.exclude:
        weights = np.where((taps < 0) | (taps >= before), 0.0, weights)
    if how.exclude or how.antialias:
        weights = weights / weights.sum(0, keepdims=True)
    return np.clip(taps, 0, before - 1), weights


def _cubic(t: Array, a: float) -> Array:
    """Keys' kernel, which reaches two entries to either side."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    result: Array = np.where(t <= 1, near, np.where(t < 2, far, 0.0))
    return result


def _combined(b: Builder, x: Live, axis: int, taps: Array, weights: Array) -> Live:
    """The sum over the taps; of two, near + (far - near) * weight."""
    shape = tuple(-1 if i == axis else 1 for i in range(x.rank))
    used = [t for t in range(len(taps)) if weights[t].any()]
    if len(used) == 2 and np.allclose(weights[used].sum(0), 1):
        near, far = (_picked(b, x, axis, taps[t]) for t in used)
        way = broadcast("broadcast_mul", b.op("elemwise_sub", [far, near]), known(weights[used[1]].reshape(shape)), b)
        return b.op("elemwise_add", [near, way])
    result: Live | None = None
    for t in used:
        part = _picked(b, x, axis, taps[t])
        if (weights[t] != 1).any():
            part = broadcast("broadcast_mul", part, known(weights[t].reshape(shape)), b)
        result = part if result is None else b.op("elemwise_add", [result, part])
    assert result is not None
    return result


TABLE: dict[str, Rule] = {"Resize": _resize, "Upsample": _upsample}
