"""Slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axes_of, axis_of, flag, integer, integers, optional_integers, positive, refuse, text
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter, require_batch_kept
from mrt.ops.shape import Mover
from mrt.ops.take import taken

EVERYTHING = 2**30  # an end beyond that of any axis
MOST_SAMPLES = 1024  # an end beyond it along the batch means all of it


class Slice(Mover):
    """x[begin:end:step] on every axis."""

    names = ("slice", "crop")
    summary = "strided_slice; backwards: take"

    def reads(self, node: Node, place: int, used: Callable[[Value], bool]) -> bool:
        """Where its bounds hold the place."""
        ((begin, *_), (end, *_)) = (optional_integers(node, key) or (None,) for key in ("begin", "end"))
        return (begin or 0) <= place and (end is None or end > place or end < 0)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """They stay where it takes all of them."""
        x = channels.read(node)
        begin, end, step = (
            values[x.axis] if x.axis < len(values) else None
            for values in (optional_integers(node, key) for key in ("begin", "end", "step"))
        )
        if begin or step not in (None, 1) or (end is not None and end < x.size) or not x.plain:
            raise NotFollowedError(f"slice {node.name} takes some of them")
        channels.set(Value(node), x)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """Explicit, non-negative bounds on every axis but an untouched batch axis."""
        shape = rw.open_shape(node.inputs[0])
        begin, end, step = (optional_integers(node, key) for key in ("begin", "end", "step"))
        if (
            node.op == "slice"
            and all(b is not None and b >= 0 for b in begin)
            and None not in end
            and step
            and all(s is not None and s > 0 for s in step)
        ):
            return None
        bounds, backwards = [], {}
        for axis, size in enumerate(shape):
            b = begin[axis] if axis < len(begin) else None
            e = end[axis] if axis < len(end) else None
            s = (step[axis] if axis < len(step) else None) or 1
            if size == -1:
                _require_whole_batch(node, b, e, s)
                bounds.append((0, EVERYTHING, 1))
                continue
            if s < 0:
                backwards[axis] = range(*slice(b, e, s).indices(size))
                bounds.append((0, size, 1))
                continue
            first, last, _ = slice(b, e, s).indices(size)
            bounds.append((first, last, s))
        begin_, end_, step_ = zip(*bounds)
        result = rw.op("slice", [inputs[0]], {"begin": begin_, "end": end_, "step": step_})
        for axis, places in backwards.items():
            result = taken(rw, result, axis, places)
        return [result]

    def emitted(self, node: Node, shape: Shape) -> tuple[str, Mapping[str, object]]:
        """strided_slice."""
        begin, end, stride = (integers(node, key) for key in ("begin", "end", "step"))
        return "strided_slice", {"begin": begin, "end": end, "stride": stride}


class SliceAxis(Operator):
    """x[…, begin:end, …] on one axis."""

    names = ("slice_axis",)
    summary = "slice"
    moves = True

    def reads(self, node: Node, place: int, used: Callable[[Value], bool]) -> bool:
        """Where its bounds hold the place."""
        last = node.attrs.get("end", "None")
        return integer(node, "begin") <= place and (last == "None" or int(last) > place or int(last) < 0)

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Those of the part; along their axis the bounds move with what is left."""
        x, shape = channels.read(node), channels.shapes[node.inputs[0]]
        axis = axis_of(node, "axis", len(shape))
        end = None if text(node, "end", "None") == "None" else integer(node, "end")
        begin, end, _ = slice(integer(node, "begin"), end).indices(shape[axis])
        channels.set(Value(node), x.part(axis, slice(begin, end)))

        def change(inputs: tuple[Value, ...], kept: Array) -> Sequence[Value]:
            first, last = np.cumsum([0, *kept])[[begin, end]]
            attrs = {**node.attrs, "begin": str(first), "end": str(last)}
            return [Value(replace(node, inputs=inputs, attrs=attrs))]

        if axis == x.axis:
            channels.change(node, x.vector, change)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """slice."""
        shape = rw.open_shape(node.inputs[0])
        axis = axis_of(node, "axis", len(shape))
        begin, end = integer(node, "begin"), None if text(node, "end", "None") == "None" else integer(node, "end")
        if shape[axis] == -1:
            _require_whole_batch(node, begin, end)
        begins = tuple(begin if i == axis else None for i in range(len(shape)))
        ends = tuple(end if i == axis else None for i in range(len(shape)))
        return [rw.op("slice", inputs, {"begin": begins, "end": ends})]


class Crop(Operator):
    """A window of pictures, at a place or in the middle, of a given size or of that of another tensor."""

    names = ("Crop",)
    summary = "slice"
    moves = True

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """slice."""
        before, after = rw.shape(node.inputs[0])[2:], rw.shape(Value(node))[2:]
        first = integers(node, "offset", (0, 0))
        if flag(node, "center_crop", False):
            first = tuple((a - b) // 2 for a, b in zip(before, after))
        begin, end = (None, None, *first), (None, None, *(a + b for a, b in zip(first, after)))
        return [rw.op("slice", [inputs[0]], {"begin": begin, "end": end})]


class SliceLike(Operator):
    """x cut to the shape of another tensor."""

    names = ("slice_like",)
    summary = "slice, from the shape that the second input has"
    moves = True
    sized = True

    def looked_into(self, node: Node) -> tuple[Value, ...]:
        """What it cuts."""
        return node.inputs[:1]

    def settled(self, node: Node, rw: Rewriter) -> bool:
        """Where it is not cut along the other's batch."""
        shape, like = (rw.open_shape(value) for value in node.inputs)
        return all(like[axis] != -1 or shape[axis] == -1 for axis in _axes(node, shape))

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """slice; an axis as long as the batch stays."""
        shape, like = rw.open_shape(node.inputs[0]), rw.open_shape(node.inputs[1])
        axes = _axes(node, shape)
        if not self.settled(node, rw):
            raise refuse(node, "what a sample gives depends on its place in the batch")
        ends = tuple(like[i] if i in axes and like[i] != -1 else None for i in range(len(shape)))
        return [rw.op("slice", [inputs[0]], {"begin": (None,) * len(shape), "end": ends})]


class SliceChannel(Operator):
    """Splits a tensor into equal parts along an axis."""

    names = ("SliceChannel", "split")
    summary = "one slice per part"
    moves = True

    def reads(self, node: Node, place: int, used: Callable[[Value], bool]) -> bool:
        """Where it parts a vector into its entries, what is done with that one decides."""
        return not flag(node, "squeeze_axis", False) or used(Value(node, place))

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Equal parts."""
        shape, parts = shapes[node.inputs[0]], positive(node, "num_outputs")
        axis = axis_of(node, "axis", len(shape), 1)
        require_batch_kept(node, [axis], shape, "a split")
        size = shape[axis]
        if size % parts:
            raise refuse(node, f"{size} entries cannot be split into {parts} equal parts")

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Those of each part, which may be of different sizes when some are gone."""
        x, count = channels.read(node), positive(node, "num_outputs")
        axis, squeezed = axis_of(node, "axis", x.ids.ndim, 1), flag(node, "squeeze_axis", False)
        if axis != x.axis:
            for index in range(count):
                channels.set(Value(node, index), x.without((axis,), keep=not squeezed))
            return
        if squeezed:
            raise NotFollowedError(f"{node.op} {node.name} takes each by itself")
        size = x.size // count
        for index in range(count):
            channels.set(Value(node, index), x.part(axis, slice(index * size, (index + 1) * size)))

        def change(inputs: tuple[Value, ...], kept: Array) -> Sequence[Value]:
            bounds = np.cumsum([0, *kept])[::size]
            if len(set(np.diff(bounds))) == 1:
                return [Value(replace(node, inputs=inputs), index) for index in range(count)]
            return [
                Value(
                    Node(
                        "slice_axis",
                        f"{node.name}_part{index}",
                        inputs,
                        {"axis": str(axis), "begin": str(begin), "end": str(end)},
                        node.origin,
                    )
                )
                for index, (begin, end) in enumerate(zip(bounds, bounds[1:]))
            ]

        channels.change(node, x.vector, change)

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """slice, and squeeze where squeeze_axis asks for it."""
        shape = rw.shape(node.inputs[0])
        axis, parts = axis_of(node, "axis", len(shape), 1), positive(node, "num_outputs")
        return _pieces(node, inputs[0], axis, range(0, shape[axis], shape[axis] // parts), shape[axis], rw)


class SplitUnevenly(Operator):
    """Splits a tensor along an axis, at given places or into equal sections."""

    names = ("_split_v2",)
    summary = "one slice per part"
    moves = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Equal sections."""
        shape, sections = shapes[node.inputs[0]], integer(node, "sections", 0)
        axis = axis_of(node, "axis", len(shape), 1)
        require_batch_kept(node, [axis], shape, "a split")
        size = shape[axis]
        if sections < 0 or (sections and size % sections):
            raise refuse(node, f"{size} entries cannot be split into {sections} equal sections")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """slice, and squeeze where squeeze_axis asks for it."""
        shape = rw.shape(node.inputs[0])
        axis, sections = axis_of(node, "axis", len(shape), 1), integer(node, "sections", 0)
        begins = (
            integers(node, "indices", ()) if not sections else tuple(range(0, shape[axis], shape[axis] // sections))
        )
        return _pieces(node, inputs[0], axis, begins, shape[axis], rw)


def _axes(node: Node, shape: Shape) -> set[int]:
    """Along which slice_like cuts."""
    return set(axes_of(node, "axes", len(shape), ())) or set(range(len(shape)))


def _require_whole_batch(node: Node, begin: int | None, end: int | None, step: int = 1) -> None:
    if begin or step != 1 or (end is not None and end <= MOST_SAMPLES):
        raise refuse(node, "a part of the batch is not supported")


def _pieces(node: Node, value: Value, axis: int, begins: Sequence[int], end: int, rw: Rewriter) -> list[Value]:
    """The slices from each place to the next, and to the end; squeezed where squeeze_axis asks for it."""
    results = []
    for first, last in zip(begins, (*begins[1:], end)):
        piece = rw.op("slice_axis", [value], {"axis": axis, "begin": first, "end": last})
        if flag(node, "squeeze_axis", False):
            piece = rw.op("squeeze", [piece], {"axis": axis})
        results.append(piece)
    return results
