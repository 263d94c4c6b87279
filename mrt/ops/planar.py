"""What operators over the spatial axes of pictures share: they have two, and one is rewritten to two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import integers, refuse, text
from mrt.ops.base import Rewriter

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
