"""How each operator passes channels on: what becomes of their numbers, what it ties, what of it is cut with them."""

from __future__ import annotations

from typing import Callable

import numpy as np

from mrt.compress.groups import ChannelGroups
from mrt.compress.layout import Layout
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import flag, integer, integers, optional_integers, text
from mrt.ops.reduce import reduced_axes

Rule = Callable[[Node, ChannelGroups], None]


def _words(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


_ELEMENTWISE = _words(
    """
    Activation Dropout Cast clip relu sigmoid tanh exp log sqrt square abs negative erf floor round hard_sigmoid
    softsign identity _copy BlockGrad _plus_scalar _minus_scalar _rminus_scalar _mul_scalar _div_scalar
    _rdiv_scalar _power_scalar _maximum_scalar _minimum_scalar ones_like zeros_like softrelu mrt_chain
    """
)
_PLANAR = ("Pooling", "Pooling_v1", "UpSampling", "_contrib_BilinearResize2D", "_contrib_AdaptiveAvgPooling2D")
_BINARY = _words(
    """
    elemwise_add elemwise_sub elemwise_mul elemwise_div _plus _Plus _add broadcast_add broadcast_sub
    broadcast_mul broadcast_div broadcast_plus broadcast_minus broadcast_maximum broadcast_minimum _maximum
    _minimum add_n ElementWiseSum
    """
)


def channel_groups(graph: Graph) -> ChannelGroups:
    """What of a network can be pruned."""
    return ChannelGroups(graph, follow)


def follow(node: Node, groups: ChannelGroups) -> None:
    """Record the channels of the node's outputs, and what it needs changed when they go."""
    rule = _RULES.get(node.op)
    try:
        if rule is None:
            raise _NotFollowedError(f"{node.op} {node.name} mixes them")
        rule(node, groups)
    except _NotFollowedError as problem:
        for value in node.inputs:
            groups.fix_value(value, str(problem))
        if node in groups.layers:
            groups.fix(groups.layers[node], str(problem))
        needs = groups.needs[node]
        needs.cuts.clear()
        needs.counts.clear()
        _outputs_fixed(node, groups, str(problem))


class _NotFollowedError(Exception):
    """Why an operator's channels cannot be removed."""


def _outputs_fixed(node: Node, groups: ChannelGroups, reason: str) -> None:
    for value, shape in groups.shapes.items():
        if value.node is node:
            ids = groups.new(shape[1] if len(shape) > 1 else 1)
            groups.set(value, groups.spread(ids, shape if len(shape) > 1 else (1,)))
            groups.fix(ids, reason)


def _read(node: Node, groups: ChannelGroups, position: int = 0) -> Layout:
    value = node.inputs[position]
    if value not in groups.layouts:
        raise _NotFollowedError(f"{node.op} {node.name} reads a constant there")
    return groups.layouts[value]


def _same(node: Node, groups: ChannelGroups) -> None:
    groups.set(Value(node), _read(node, groups))


def _planar(node: Node, groups: ChannelGroups) -> None:
    """Works on each channel's plane by itself."""
    x = _read(node, groups)
    if len(node.inputs) > 1 or x.axis != 1 or not x.plain:
        raise _NotFollowedError(f"{node.op} {node.name} does not have them on axis 1")
    groups.set(Value(node), x)


def _convolution(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    if x.axis != 1 or text(node, "layout", "None") not in ("None", "NCW", "NCHW", "NCDHW"):
        raise _NotFollowedError(f"convolution {node.name} does not have them on axis 1")
    _layer(node, groups, integer(node, "num_filter"), "num_filter")
    outs, ins, count = groups.layers[node], x.vector, integer(node, "num_group", 1)
    first, second = (1, 0) if node.op == "Deconvolution" else (0, 1)  # axes of outputs and inputs in the weights
    if count == 1:
        _cut(node, groups, 1, first, outs)
        _cut(node, groups, 1, second, ins)
    elif count == len(ins):  # depthwise: each channel has its own filters
        groups.tie(outs.reshape(count, -1), ins[:, None])
        _cut(node, groups, 1, 0, outs if first == 0 else ins)
        groups.needs[node].counts["num_group"] = ins
        if first == 1 and len(outs) != count:
            raise _NotFollowedError(f"deconvolution {node.name} has several filters a channel")
    else:  # each group keeps as many
        for ids in (ins, outs):
            parts = ids.reshape(count, -1)
            groups.tie(parts[:1], parts)
        inner = ins if first == 1 else outs
        _cut(node, groups, 1, 0, inner)
        _cut(node, groups, 1, 1, (outs if first == 1 else ins)[: len(outs if first == 1 else ins) // count])
    if not flag(node, "no_bias", node.op == "Deconvolution"):
        _cut(node, groups, 2, 0, outs)


def _dense(node: Node, groups: ChannelGroups) -> None:
    x, shape = _read(node, groups), groups.shapes[node.inputs[0]]
    if flag(node, "flatten", True):
        ins = x.whole(shape).reshape(-1)
    elif x.axis == len(shape) - 1:
        ins = x.vector
    else:
        raise _NotFollowedError(f"FullyConnected {node.name} does not read them along its last axis")
    _layer(node, groups, integer(node, "num_hidden"), "num_hidden")
    outs = groups.layers[node]
    _cut(node, groups, 1, 0, outs)
    _cut(node, groups, 1, 1, ins)
    if not flag(node, "no_bias", False):
        _cut(node, groups, 2, 0, outs)


def _layer(node: Node, groups: ChannelGroups, count: int, attribute: str) -> None:
    """New channels."""
    outs = groups.new(count)
    groups.layers[node] = outs
    shape = groups.shapes[Value(node)]
    if node.op == "FullyConnected":
        axis = len(shape) - 1
        layout = Layout(outs.reshape([count if a == axis else 1 for a in range(len(shape))]), axis, count)
    else:
        layout = groups.spread(outs, shape)
    groups.set(Value(node), layout)
    groups.needs[node].counts[attribute] = outs


def _cut(node: Node, groups: ChannelGroups, position: int, axis: int, ids: Array) -> None:
    if not groups.cut(node, position, axis, ids):
        groups.fix(ids, f"{node.op} {node.name} has computed weights")


def _batch_norm(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    if x.axis != integer(node, "axis", 1) % x.ids.ndim:
        raise _NotFollowedError(f"{node.op} {node.name} does not have them on its axis")
    for position in range(1, len(node.inputs)):
        _cut(node, groups, position, 0, x.vector)
    groups.set(Value(node), x)


def _leaky(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    if text(node, "act_type", "leaky") == "prelu" and groups.shapes[node.inputs[1]] != (1,):
        if x.axis != 1:
            raise _NotFollowedError(f"{node.op} {node.name} does not have them on axis 1")
        _cut(node, groups, 1, 0, x.vector)
    groups.set(Value(node), x)


def _binary(node: Node, groups: ChannelGroups) -> None:
    """Element by element, one side broadcast."""
    read = [(i, value) for i, value in enumerate(node.inputs) if value in groups.layouts]
    rank = max(len(groups.shapes[value]) for value in node.inputs)
    layouts = [groups.layouts[value] for _, value in read]
    if any(layout.ids.ndim != rank for layout in layouts):
        raise _NotFollowedError(f"{node.op} {node.name} reads tensors of several ranks")
    size = max(layout.size for layout in layouts)
    wide = [layout for layout in layouts if layout.size == size]
    lead = max(wide, key=lambda layout: layout.ids.size)
    for layout in layouts:
        if layout.axis != lead.axis and layout.ids.size > 1:
            raise _NotFollowedError(f"{node.op} {node.name} has them on several axes")
        if layout.size == size:
            groups.tie(lead.vector, layout.vector)
        else:  # one for all channels
            groups.fix(layout.ids, f"{node.op} {node.name} applies them to all channels")
    for position, value in enumerate(node.inputs):
        if value in groups.layouts:
            continue
        shape = groups.shapes[value]
        axis = lead.axis - (rank - len(shape))
        if axis >= 0 and shape[axis] > 1:
            _cut(node, groups, position, axis, lead.vector)
    groups.set(Value(node), lead)


def _reshape(node: Node, groups: ChannelGroups) -> None:
    x, out = _read(node, groups), groups.shapes[Value(node)]
    if not out or out[0] != 1:
        raise _NotFollowedError(f"{node.op} {node.name} moves the batch axis")
    numbers = x.whole(groups.shapes[node.inputs[0]]).reshape(out)
    groups.set(Value(node), Layout.of(numbers))
    groups.needs[node].reshaped = node.op == "Reshape"


def _moved(order: Callable[[Node, int], tuple[int, ...]]) -> Rule:
    def rule(node: Node, groups: ChannelGroups) -> None:
        x = _read(node, groups)
        axes = order(node, x.ids.ndim)
        if axes[0] != 0:
            raise _NotFollowedError(f"{node.op} {node.name} moves the batch axis")
        groups.set(Value(node), Layout(x.ids.transpose(axes), axes.index(x.axis), x.size))

    return rule


def _transpose_order(node: Node, rank: int) -> tuple[int, ...]:
    return tuple(axis % rank for axis in integers(node, "axes", ())) or tuple(range(rank))[::-1]


def _swap_order(node: Node, rank: int) -> tuple[int, ...]:
    axes = list(range(rank))
    one, other = integer(node, "dim1", 0) % rank, integer(node, "dim2", 0) % rank
    axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


def _expand(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    axis = integer(node, "axis") % (x.ids.ndim + 1)
    groups.set(Value(node), Layout(np.expand_dims(x.ids, axis), x.axis + (axis <= x.axis), x.size))


def _squeeze(node: Node, groups: ChannelGroups) -> None:
    x, shape = _read(node, groups), groups.shapes[node.inputs[0]]
    given = node.attrs.get("axis", "None")
    axes = tuple(a % len(shape) for a in integers(node, "axis")) if given != "None" else ()
    axes = axes or tuple(axis for axis, size in enumerate(shape) if size == 1)
    if x.axis in axes or 0 in axes:
        raise _NotFollowedError(f"squeeze {node.name} drops their axis")
    groups.set(Value(node), x.without(axes, keep=False))


def _reduce(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    axes = reduced_axes(node, x.ids.ndim)
    if x.axis in axes or 0 in axes:
        raise _NotFollowedError(f"{node.op} {node.name} is taken over them")
    groups.set(Value(node), x.without(axes, flag(node, "keepdims", False)))


def _softmax(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    if x.axis == integer(node, "axis", -1) % x.ids.ndim:
        raise _NotFollowedError(f"{node.op} {node.name} is taken over them")
    groups.set(Value(node), x)


def _concat(node: Node, groups: ChannelGroups) -> None:
    shapes = [groups.shapes[value] for value in node.inputs]
    axis = integer(node, "dim", 1) % len(shapes[0])
    layouts = [_read(node, groups, position) for position in range(len(node.inputs))]
    lead = max(layouts, key=lambda layout: layout.ids.size)
    if axis == 0 or any(layout.axis != lead.axis for layout in layouts if layout.ids.size > 1):
        raise _NotFollowedError(f"Concat {node.name} has them on several axes")
    if axis == lead.axis:
        parts = [layout.whole(shape) for layout, shape in zip(layouts, shapes)]
        groups.set(Value(node), Layout.of(np.concatenate(parts, axis), prefer=axis))
        return
    for layout in layouts:
        groups.tie(lead.vector, layout.vector)
    groups.set(Value(node), Layout(np.take(lead.ids, [0], axis), lead.axis, lead.size))


def _split(node: Node, groups: ChannelGroups) -> None:
    x, count, shape = _read(node, groups), integer(node, "num_outputs"), groups.shapes[node.inputs[0]]
    axis, squeezed = integer(node, "axis", 1) % len(shape), flag(node, "squeeze_axis", False)
    if axis == x.axis and squeezed:
        raise _NotFollowedError(f"{node.op} {node.name} takes each by itself")
    parts = [x] * count
    if axis == x.axis:
        parts = [Layout(part, axis, x.size // count) for part in np.split(x.ids, count, axis)]
        groups.needs[node].sliced = x.vector
    for index, part in enumerate(parts):
        groups.set(Value(node, index), part.without((axis,), keep=not squeezed) if axis != x.axis else part)


def _slice_axis(node: Node, groups: ChannelGroups) -> None:
    x, shape = _read(node, groups), groups.shapes[node.inputs[0]]
    axis = integer(node, "axis") % len(shape)
    begin, end = slice_bounds(node, shape[axis])
    _sliced(node, groups, x, axis, slice(begin, end))


def slice_bounds(node: Node, size: int) -> tuple[int, int]:
    """Of `slice_axis`, on an axis of that size."""
    begin, end = integer(node, "begin"), node.attrs.get("end", "None")
    last = size if end == "None" else integer(node, "end")
    return begin % size if begin < 0 else begin, last + size if last < 0 else last


def _slice(node: Node, groups: ChannelGroups) -> None:
    x = _read(node, groups)
    begin, end, step = (
        values[x.axis] if x.axis < len(values) else None
        for values in (optional_integers(node, key) for key in ("begin", "end", "step"))
    )
    if begin or step not in (None, 1) or (end is not None and end < x.size) or not x.plain:
        raise _NotFollowedError(f"slice {node.name} takes some of them")
    groups.set(Value(node), x)


def _sliced(node: Node, groups: ChannelGroups, x: Layout, axis: int, part: slice) -> None:
    if axis != x.axis:
        groups.set(Value(node), x if x.ids.shape[axis] == 1 else _at(x, axis, part))
        return
    groups.needs[node].sliced = x.vector
    groups.set(Value(node), _at(x, axis, part))


def _at(x: Layout, axis: int, part: slice) -> Layout:
    ids = x.ids[tuple(part if a == axis else slice(None) for a in range(x.ids.ndim))]
    return Layout(ids, x.axis, ids.shape[axis] if axis == x.axis else x.size)


def _pad(node: Node, groups: ChannelGroups) -> None:
    x, widths = _read(node, groups), integers(node, "pad_width")
    if any(widths[2 * x.axis : 2 * x.axis + 2]) or not x.plain:
        raise _NotFollowedError(f"{node.op} {node.name} adds to them")
    groups.set(Value(node), x)


_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _same),
    **dict.fromkeys(_PLANAR, _planar),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(("Convolution", "Deconvolution"), _convolution),
    **dict.fromkeys(("BatchNorm", "BatchNorm_v1", "InstanceNorm"), _batch_norm),
    **dict.fromkeys(("Reshape", "Flatten"), _reshape),
    **dict.fromkeys(("sum", "mean", "max", "min"), _reduce),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    **dict.fromkeys(("Pad", "pad"), _pad),
    "FullyConnected": _dense,
    "LeakyReLU": _leaky,
    "transpose": _moved(_transpose_order),
    "SwapAxis": _moved(_swap_order),
    "expand_dims": _expand,
    "squeeze": _squeeze,
    "Concat": _concat,
    "SliceChannel": _split,
    "slice_axis": _slice_axis,
    "slice": _slice,
}
