"""Parts of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, constant
from mrt.frontends.onnx.values import FLOAT, Known, Live, Operand
from mrt.graph import Array, Shape


def _slice(node: OnnxNode, b: Builder) -> list[Operand]:
    """Attributes before opset 10, inputs since."""
    x = node.live(0)
    if node.opset < 10:
        starts, ends = (Known(np.array(node.integers(key)), None) for key in ("starts", "ends"))
        axes = list(node.integers("axes", tuple(range(starts.one.size))))
        steps = [1] * len(axes)
    else:
        starts, ends = node.known(1), node.known(2)
        axes = [int(axis) for axis in node.array(3, np.arange(starts.one.size)).reshape(-1)]
        steps = [int(step) for step in node.array(4, np.ones(len(axes))).reshape(-1)]
    if not len(axes) == len(steps) == starts.one.size == ends.one.size:
        raise node.refuse("starts, ends, axes and steps differ in number")
    result = x
    for number, (axis, step) in enumerate(zip(axes, steps)):
        axis = node.in_rank(axis, x.rank)
        if step == 0:
            raise node.refuse("a step of 0")
        one = _part(starts.one, ends.one, number, step, x.one[axis])
        two = None if x.two is None else _part(_two(starts), _two(ends), number, step, x.two[axis])
        if len(one) == 0:
            raise node.refuse(f"nothing is left of axis {axis} of data of shape {x.one}")
        result = _cut(node, b, result, axis, one, two)
    return [b.op("identity", [result]) if result is x and x.steps is None else result]


def _two(bound: Known) -> Array:
    return bound.one if bound.two is None else bound.two


def _part(starts: Array, ends: Array, number: int, step: int, size: int) -> range:
    """The places that are kept."""
    begin, end = int(starts.reshape(-1)[number]), int(ends.reshape(-1)[number])
    if step < 0 and end < -size:
        return range(*slice(begin, None, step).indices(size))
    return range(*slice(begin, end, step).indices(size))


def _cut(node: OnnxNode, b: Builder, x: Live, axis: int, one: range, two: range | None) -> Live:
    whole = one == range(x.one[axis]) and (two is None or x.two is None or two == range(x.two[axis]))
    if whole:
        return x
    if axis == x.batch and two is not None:
        if list(one) == list(two):
            raise node.refuse("it takes some of the batch's samples, which is not supported")
        if list(one) != [0]:
            raise node.refuse("it reorders the batch's samples, which is not supported")
        return x
    if one.step == 1:
        return b.slice(x, axis, one.start, one.stop)
    if one.step < 0:
        return b.take(x, axis, list(one))
    bounds: list[tuple[int | None, ...]] = []
    for value in (one.start, one[-1] + 1, one.step):
        bounds.append(tuple(value if i == axis else None for i in range(x.rank)))
    return b.op("slice", [x], dict(zip(("begin", "end", "step"), bounds)))


def _split(node: OnnxNode, b: Builder) -> list[Operand]:
    """Sizes as an attribute before opset 13, an input since; else a number of equal parts, the last one shorter."""
    x = node.live(0)
    axis = node.axis(x.rank, 0)
    size, count = x.one[axis], node.integer("num_outputs", max(1, len(node.outputs)))
    if node.opset < 13:
        sizes = list(node.integers("split", ()))
    else:
        sizes = [int(part) for part in node.array(1).reshape(-1)] if node.has(1) else []
    if not sizes:
        if count < 1:
            raise node.refuse(f"num_outputs={count}")
        part = -(-size // count)
        sizes = [max(0, min(part, size - part * i)) for i in range(count)]
    if sum(sizes) != size or any(part < 1 for part in sizes):
        raise node.refuse(f"parts of {sizes} do not make up {size} entries")
    if axis == x.batch:
        raise node.refuse("splitting the batch is not supported")
    ends = np.cumsum(sizes)
    if len(sizes) == 1:
        return [b.op("identity", [x])]
    return [b.slice(x, axis, int(end) - part, int(end)) for part, end in zip(sizes, ends)]


def _gather(node: OnnxNode, b: Builder) -> list[Operand]:
    """Of data at constant places, of a constant table at places that are data; negative ones count from the end."""
    data, places = node.given(0), node.given(1)
    if isinstance(data, Live) and isinstance(places, Known):
        return [_gathered(node, b, data, places)]
    if isinstance(places, Live) and isinstance(data, (Known, Live)):
        axis = node.axis(data.rank, 0)
        if isinstance(data, Live) and data.batch is not None:
            raise node.refuse("places that are the network's data in the network's data are not supported")
        if not places.one:
            raise node.refuse("a single place that is the network's data is not supported")
        kind = data.kind if isinstance(data, Live) else FLOAT
        return [b.op("take", [data, places], {"axis": axis, "mode": "wrap"}, kind)]
    raise node.refuse("places that are the network's data in the network's data are not supported")


def _gathered(node: OnnxNode, b: Builder, data: Live, places: Known) -> Live:
    axis = node.axis(data.rank, 0)
    size = data.one[axis]
    if axis == data.batch or not places.fixed:
        raise node.refuse("taking some of the batch's samples is not supported")
    index = places.one.astype(np.int64)
    if (index < -size).any() or (index >= size).any():
        raise node.refuse(f"places {index.reshape(-1)[:5].tolist()} beyond the {size} entries of axis {axis}")
    flat = [int(place) % size for place in index.reshape(-1)]
    taken = _taken(b, data, axis, flat)
    return b.reshape(taken, lambda shape: (*shape[:axis], *index.shape, *shape[axis + 1 :]))


def _taken(b: Builder, x: Live, axis: int, places: Sequence[int]) -> Live:
    first, last = places[0], places[-1]
    if list(places) == list(range(first, last + 1)):
        return b.slice(x, axis, first, last + 1)
    return b.take(x, axis, places)


def _one_hot(node: OnnxNode, b: Builder) -> list[Operand]:
    """Whether each of the classes is that of the entry, as on and off values; negative classes count from the end."""
    x = node.live(0)
    depth, values = int(node.array(1).reshape(-1)[0]), node.array(2).reshape(-1)
    axis = node.in_rank(node.integer("axis", -1), x.rank + 1)
    wide = b.reshape(x, lambda shape: (*shape[:axis], 1, *shape[axis:]))
    shape = tuple(depth if i == axis else 1 for i in range(x.rank + 1))
    wrapped = b.op("_mod_scalar", [wide], {"scalar": float(depth)})
    inside = broadcast("broadcast_lesser", b.op("abs", [b.scaled(wide, 1, 0.5)]), constant(depth), b)
    hot = broadcast("broadcast_equal", wrapped, known(np.arange(depth).reshape(shape)), b, FLOAT)
    hot = broadcast("broadcast_mul", hot, inside, b)
    return [b.scaled(hot, float(values[1] - values[0]), float(values[0]))]


def _trilu(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    k = int(node.array(1).reshape(-1)[0]) if node.has(1) else 0
    ones: Shape = x.one[-2:]
    mask = np.triu(np.ones(ones), k) if node.integer("upper", 1) else np.tril(np.ones(ones), k)
    return [broadcast("broadcast_mul", x, known(mask), b)]


TABLE: dict[str, Rule] = {
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "OneHot": _one_hot,
    "Trilu": _trilu,
}
