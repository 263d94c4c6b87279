"""Shapes, and what only rearranges entries."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mrt.frontends.onnx.builder import Builder
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule
from mrt.frontends.onnx.values import Known, Live, Operand
from mrt.graph import Array, Shape


def _identity(node: OnnxNode, b: Builder) -> list[Operand]:
    node.only_output()
    return [node.given(0)]


def _dropout(node: OnnxNode, b: Builder) -> list[Operand]:
    """Nothing, unless it trains."""
    if node.has(2) and bool(node.array(2).any()) and not (node.has(1) and not node.array(1).any()):
        raise node.refuse("training_mode is not supported; export the model for inference")
    node.only_output()
    return [node.given(0)]


def _shape(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    start, end = node.integer("start", 0), node.attrs.get("end")
    part = slice(start, end)
    two = None if x.two is None else np.array(x.two[part], np.int64)
    return [Known(np.array(x.one[part], np.int64), two)]


def _size(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    return [Known(np.array(prod(x.one)), None if x.two is None else np.array(prod(x.two)))]


def _wanted(node: OnnxNode, target: Array, shape: Shape, zero_is_zero: bool) -> Shape:
    """What Reshape asks for: 0 copies the size at its place, -1 is the rest."""
    sizes = [int(size) for size in target.reshape(-1)]
    for axis, size in enumerate(sizes):
        if size == 0 and not zero_is_zero:
            if axis >= len(shape):
                raise node.refuse(f"shape={sizes} copies an axis that {shape} does not have")
            sizes[axis] = shape[axis]
    if sizes.count(-1) == 1:
        rest = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = prod(shape) // rest if rest else 0
    if any(size < 1 for size in sizes):
        raise node.refuse(f"shape={sizes} is not supported for data of shape {shape}")
    return tuple(sizes)


def _reshape(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    target = node.known(1) if node.opset >= 5 else Known(np.array(node.integers("shape")), None)
    literal = bool(node.integer("allowzero", 0))
    one = _wanted(node, target.one, x.one, literal)
    if prod(one) != prod(x.one):
        raise node.refuse(f"data of shape {x.one} cannot have the shape {one}")
    two = None
    if x.two is not None:
        two = _wanted(node, target.one if target.two is None else target.two, x.two, literal)
    return [b.reshape_to(x, one, two)]


def _flatten(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    axis = node.integer("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise node.refuse(f"axis {axis} is none of the tensor's {x.rank} axes")
    axis = axis % x.rank if axis < x.rank else axis
    return [b.reshape(x, lambda shape: (prod(shape[:axis]), prod(shape[axis:])))]


def axes_of(node: OnnxNode, since: int, position: int = 1) -> list[int] | None:
    """Axes as an attribute before an opset, as an input since; None where they are not given."""
    if node.opset < since:
        return list(node.integers("axes")) if "axes" in node.attrs else None
    found = node.array_or_none(position)
    return None if found is None else [int(axis) for axis in found.reshape(-1)]


def _squeeze(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    given = axes_of(node, 13)
    if given is None:
        gone = {axis for axis, size in enumerate(x.one) if size == 1 and axis != x.batch}
    else:
        gone = {node.in_rank(axis, x.rank) for axis in given}
        if any(x.one[axis] != 1 for axis in gone):
            raise node.refuse(f"axes {sorted(gone)} of data of shape {x.one} have more than one entry")
    return [b.reshape(x, lambda shape: tuple(size for axis, size in enumerate(shape) if axis not in gone))]


def _unsqueeze(node: OnnxNode, b: Builder) -> list[Operand]:
    x, given = node.live(0), axes_of(node, 13)
    if given is None:
        raise node.refuse("axes are missing")
    rank = x.rank + len(given)
    new = {node.in_rank(axis, rank) for axis in given}
    if len(new) < len(given):
        raise node.refuse(f"axes={given} has an axis twice")

    def longer(shape: Shape) -> Shape:
        sizes = iter(shape)
        return tuple(1 if axis in new else next(sizes) for axis in range(rank))

    return [b.reshape(x, longer)]


def _transpose(node: OnnxNode, b: Builder) -> list[Operand]:
    x = node.live(0)
    axes = node.integers("perm", tuple(reversed(range(x.rank))))
    if sorted(axes) != list(range(x.rank)):
        raise node.refuse(f"perm={list(axes)} does not fit data of shape {x.one}")
    return [b.transpose(x, axes)]


def _expand(node: OnnxNode, b: Builder) -> list[Operand]:
    x, target = node.live(0), node.known(1)
    one = _common(node, x.one, target.one)
    two = None if x.two is None else _common(node, x.two, target.one if target.two is None else target.two)
    return [expanded(b, x, one, two)]


def _common(node: OnnxNode, shape: Shape, target: Array) -> Shape:
    try:
        return tuple(np.broadcast_shapes(shape, tuple(int(size) for size in target.reshape(-1))))
    except ValueError:
        raise node.refuse(f"data of shape {shape} does not broadcast to {target.tolist()}") from None


def expanded(b: Builder, x: Live, one: Shape, two: Shape | None) -> Live:
    """x repeated along its axes of one entry, as broadcasting does; along the batch by a sum with zeros."""
    x = b.reshape(x, lambda shape: (1,) * (len(one) - len(shape)) + shape)
    for axis, size in enumerate(one):
        grows = two is not None and two[axis] != size and x.batch != axis
        if grows and x.one[axis] == 1:
            x = b.op("broadcast_add", [x, b.zeros(len(one), axis)])
        if x.one[axis] != size:
            x = b.op("broadcast_axis", [x], {"axis": axis, "size": size})
    return x


def _tile(node: OnnxNode, b: Builder) -> list[Operand]:
    """Along the batch only where it has one entry that is repeated for each sample."""
    x, repeats = node.live(0), node.known(1)
    one = tuple(int(count) for count in repeats.one.reshape(-1))
    two = one if repeats.two is None else tuple(int(count) for count in repeats.two.reshape(-1))
    if len(one) != x.rank:
        raise node.refuse(f"repeats={list(one)} does not fit data of shape {x.one}")
    if any(count < 1 for count in one):
        raise node.refuse(f"repeats={list(one)} leaves nothing")
    for axis, (count, other) in enumerate(zip(one, two)):
        if count != other:
            if x.one[axis] != 1 or x.batch is not None or count != 1:
                raise node.refuse(f"repeats={list(one)} depends on the size of the batch")
            x = b.op("broadcast_add", [x, b.zeros(x.rank, axis)])
    if all(count == 1 for count in one):
        return [b.op("identity", [x])]
    return [b.op("tile", [x], {"reps": one})]


def _depth_to_space(node: OnnxNode, b: Builder) -> list[Operand]:
    x, size = node.live(0), node.integer("blocksize")
    if x.rank != 4 or size < 1 or x.one[1] % (size * size):
        raise node.refuse(f"blocksize={size} does not fit data of shape {x.one}")
    mode = node.text("mode", "DCR")
    if mode == "DCR":
        return [b.op("depth_to_space", [x], {"block_size": size})]
    if mode != "CRD":
        raise node.refuse(f"mode={mode} is unknown")
    apart = b.reshape(x, lambda s: (s[0], s[1] // size**2, size, size, s[2], s[3]))
    moved = b.transpose(apart, (0, 1, 4, 2, 5, 3))
    return [b.reshape(moved, lambda s: (s[0], s[1], s[2] * s[3], s[4] * s[5]))]


def _space_to_depth(node: OnnxNode, b: Builder) -> list[Operand]:
    x, size = node.live(0), node.integer("blocksize")
    if x.rank != 4 or size < 1 or x.one[2] % size or x.one[3] % size:
        raise node.refuse(f"blocksize={size} does not fit data of shape {x.one}")
    mode = node.text("mode", "DCR")
    if mode == "DCR":
        return [b.op("space_to_depth", [x], {"block_size": size})]
    if mode != "CRD":
        raise node.refuse(f"mode={mode} is unknown")
    apart = b.reshape(x, lambda s: (s[0], s[1], s[2] // size, size, s[3] // size, size))
    moved = b.transpose(apart, (0, 1, 3, 5, 2, 4))
    return [b.reshape(moved, lambda s: (s[0], s[1] * size**2, s[4], s[5]))]


def _concat(node: OnnxNode, b: Builder) -> list[Operand]:
    return [joined(node, b, [node.given(position) for position in range(len(node.inputs))], node.integer("axis", 1))]


def joined(node: OnnxNode, b: Builder, parts: Sequence[Operand], axis: int) -> Live:
    """Operands one after the other along an axis; constants have the batch of the others."""
    lives = [part for part in parts if isinstance(part, Live)]
    rank = lives[0].rank
    axis = node.in_rank(axis, rank)
    batch = next((live.batch for live in lives if live.batch not in (None, axis)), None)
    values = []
    for part in parts:
        live = b.live(part)
        if batch is not None and live.batch is None and live.two is not None and live.one[batch] == 1:
            live = b.op("broadcast_add", [live, b.zeros(rank, batch)])
        values.append(live)
    if len(values) == 1:
        return b.op("identity", values)
    return b.op("Concat", values, {"dim": axis, "num_args": len(values)}, kind=lives[0].kind)


TABLE: dict[str, Rule] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "Shape": _shape,
    "Size": _size,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Concat": _concat,
}
