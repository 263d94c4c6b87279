"""What operators over the spatial axes of pictures share: they have two, and one is rewritten to two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import flag, integers, positive, refuse, text
from mrt.ops.base import ChannelNumbers, NotFollowedError, Operator, Rewriter, planes, sole

_NEUTRAL = (("kernel", 1), ("stride", 1), ("dilate", 1), ("pad", 0), ("adj", 0))


def require_axes(node: Node, shapes: Mapping[Value, Shape], kind: str) -> None:
    """Refuse other than 1 or 2 spatial axes, and channels that do not come first.

    Raises:
        MRTError: the node is not of that kind.
    """
    rank = len(shapes[node.inputs[0]])
    if rank not in (3, 4):
        raise refuse(node, f"a {rank - 2}-dimensional {kind} is not supported (1 and 2 are)")
    layout = text(node, "layout", "None")
    if layout not in ("None", "NCHW", "NCW"):
        raise refuse(node, f"layout={layout} is not supported (NCHW is)")


def over_two_axes(op: str, node: Node, data: Value, parameters: Sequence[Value], layout: str, rw: Rewriter) -> Value:
    """An operator over one axis as one over pictures of height 1."""
    attrs = dict(node.attrs, layout=layout)
    for key, neutral in _NEUTRAL:
        if given := integers(node, key, ()):
            attrs[key] = str((neutral, given[0]))
    result = rw.op(op, [rw.op("expand_dims", [data], {"axis": 2}), *parameters], attrs)
    return rw.op("squeeze", [result], {"axis": 2})


class Planar(Operator):
    """What works on each channel's plane by itself."""

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """They stay where each plane has one."""
        return planes(sole(given))

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Plane by plane."""
        x = channels.read(node)
        if len(node.inputs) > 1 or x.axis != 1 or not x.plain:
            raise NotFollowedError(f"{node.op} {node.name} does not have them on axis 1")
        channels.set(Value(node), x)


def follow_filters(node: Node, channels: ChannelNumbers, transposed: bool) -> None:
    """The `follow` rule of convolutions; the weights of transposed ones are (I, O / groups, ...)."""
    x = channels.read(node)
    if x.axis != 1 or text(node, "layout", "None") not in ("None", "NCW", "NCHW", "NCDHW"):
        raise NotFollowedError(f"convolution {node.name} does not have them on axis 1")
    ins, outs = x.vector, channels.make(node, "num_filter", positive(node, "num_filter"), 1)
    groups = positive(node, "num_group", 1)
    first, second = (ins, outs) if transposed else (outs, ins)  # along the weights' axes
    within = second if groups == 1 else _tied_in_groups(node, channels, groups, ins, outs, transposed)
    channels.cut(node, 1, 0, first)
    if within is not None:
        channels.cut(node, 1, 1, within)
    if not flag(node, "no_bias", transposed):
        channels.cut(node, 2, 0, outs)


def _tied_in_groups(
    node: Node, channels: ChannelNumbers, groups: int, ins: Array, outs: Array, transposed: bool
) -> Array | None:
    """Tie what grouping ties; the channels along axis 1 of the weights, None where no channel is removed along it."""
    if groups == len(ins):  # depthwise: each channel has its own filters
        channels.tie(outs.reshape(groups, -1), ins[:, None])
        if transposed and len(outs) != groups:
            raise NotFollowedError(f"deconvolution {node.name} has several filters a channel")
        channels.count(node, "num_group", ins)
        return None
    for ids in (ins, outs):  # each group keeps as many
        parts = ids.reshape(groups, -1)
        channels.tie(parts[:1], parts)
    inner = outs if transposed else ins
    return inner[: len(inner) // groups]
