"""What each operator that MXNet lacks is there: the target's, in float64, and MRT's own of float graphs.

Written from the target's specification, and sharing nothing with `cvm.formal`, with which the results are compared bit
for bit. All values stay below 2^53, so float64 holds them exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from mrt.executors.suppression import SUPPRESS, VALID
from mrt.graph.attrs import flag, integer, integers, text
from mrt.graph.ir import Node


@dataclass(frozen=True)
class MXNetOperator:
    """An operator of MXNet.

    Attributes:
        op: its name.
        attrs: its attributes; each is written with `str`.
        reverse: whether it reads the inputs in reverse order.
    """

    op: str
    attrs: Mapping[str, object]
    reverse: bool = False


Equivalent = Callable[[Node], "list[MXNetOperator]"]
"""The steps of a node: the first reads its inputs, each other one the step before, the last gives its outputs."""


def equivalent(node: Node) -> list[MXNetOperator] | None:
    """The steps that compute a node, None where MXNet has its operator.

    Raises:
        KeyError: the node is of an operator of the target that has none here.
    """
    if node.target_op is not None:
        return _OF_TARGET[node.target_op](node)
    rule = _OF_FLOATS.get(node.op)
    return rule(node) if rule else None


def _same(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator(node.target_op or node.op, {})]


def _between(low: int, high: int) -> list[MXNetOperator]:
    """min(max(x, low), high); MXNet's clip has its bounds in float32, which holds integers up to 2^24 only."""
    if max(abs(low), abs(high)) <= 2**24:
        return [MXNetOperator("clip", {"a_min": low, "a_max": high})]
    return [MXNetOperator("_maximum_scalar", {"scalar": low}), MXNetOperator("_minimum_scalar", {"scalar": high})]


def _limited(node: Node) -> list[MXNetOperator]:
    largest = 2 ** (integer(node, "precision") - 1) - 1
    return _between(-largest, largest)


def _conv2d(node: Node) -> list[MXNetOperator]:
    attrs = {
        "num_filter": integer(node, "channels"),
        "kernel": integers(node, "kernel_size"),
        "stride": integers(node, "strides"),
        "pad": integers(node, "padding"),
        "dilate": integers(node, "dilation"),
        "num_group": integer(node, "groups"),
        "no_bias": not flag(node, "use_bias", True),
    }
    return [MXNetOperator("Convolution", attrs)]


def _dense(node: Node) -> list[MXNetOperator]:
    units, biased = integer(node, "units"), flag(node, "use_bias", True)
    return [MXNetOperator("FullyConnected", {"num_hidden": units, "no_bias": not biased, "flatten": False})]


def _max_pool2d(node: Node) -> list[MXNetOperator]:
    attrs = {
        "pool_type": "max",
        "kernel": integers(node, "pool_size"),
        "stride": integers(node, "strides"),
        "pad": integers(node, "padding"),
        "pooling_convention": "full" if flag(node, "ceil_mode", False) else "valid",
    }
    return [MXNetOperator("Pooling", attrs)]


def _relu(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("Activation", {"act_type": "relu"})]


def _clip(node: Node) -> list[MXNetOperator]:
    return _between(integer(node, "a_min"), integer(node, "a_max"))


def _cvm_right_shift(node: Node) -> list[MXNetOperator]:
    """floor(x / 2^s + 0.5): halves go up. MXNet reads 2^-24, written in decimal, as a number next to it."""
    return [
        MXNetOperator("_div_scalar", {"scalar": 2 ** integer(node, "shift_bit")}),
        MXNetOperator("_plus_scalar", {"scalar": 0.5}),
        MXNetOperator("floor", {}),
        *_limited(node),
    ]


def _cvm_left_shift(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("_mul_scalar", {"scalar": 2 ** integer(node, "shift_bit")}), *_limited(node)]


def _broadcast_max(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("broadcast_maximum", {})]


def _broadcast_div(node: Node) -> list[MXNetOperator]:
    """trunc(a / b); operands below 2^31 make the quotient's truncation exact. What is emitted never divides by 0."""
    return [MXNetOperator("broadcast_div", {}), MXNetOperator("trunc", {})]


def _reduction(node: Node) -> list[MXNetOperator]:
    attrs = {"axis": integers(node, "axis"), "keepdims": flag(node, "keepdims", False)}
    return [MXNetOperator(node.target_op or node.op, attrs)]


def _concatenate(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("Concat", {"dim": integer(node, "axis"), "num_args": len(node.inputs)})]


def _flatten(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("Flatten", {})]


def _reshape(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("Reshape", {"shape": integers(node, "shape")})]


def _squeeze(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("squeeze", {"axis": integers(node, "axis")})]


def _expand_dims(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("expand_dims", {"axis": integer(node, "axis")})]


def _transpose(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("transpose", {"axes": integers(node, "axes")})]


def _repeat(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("repeat", {"repeats": integer(node, "repeats"), "axis": integer(node, "axis")})]


def _tile(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("tile", {"reps": integers(node, "reps")})]


def _upsampling(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("UpSampling", {"scale": integer(node, "scale"), "sample_type": "nearest", "num_args": 1})]


def _strided_slice(node: Node) -> list[MXNetOperator]:
    begin, end, step = (integers(node, key) for key in ("begin", "end", "stride"))
    return [MXNetOperator("slice", {"begin": begin, "end": end, "step": step})]


def _take(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("take", {"axis": integer(node, "axis"), "mode": "clip"})]


def _cvm_lut(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("take", {"axis": 0, "mode": "clip"}, reverse=True)]


def _custom(kind: str) -> Equivalent:
    return lambda node: [MXNetOperator("Custom", {"op_type": kind, **node.attrs})]


def _softrelu(node: Node) -> list[MXNetOperator]:
    return [MXNetOperator("Activation", {"act_type": "softrelu"})]


def _chain(node: Node) -> list[MXNetOperator]:
    """The functions that were fused."""
    steps = json.loads(text(node, "steps"))
    return [
        MXNetOperator("Activation", {"act_type": op}) if op == "softrelu" else MXNetOperator(op, attrs)
        for op, attrs in steps
    ]


def _sum_softmax(node: Node) -> list[MXNetOperator]:
    """The sum, and its softmax."""
    return [MXNetOperator("broadcast_add", {}), MXNetOperator("softmax", {"axis": integer(node, "axis")})]


def _box_nms(node: Node) -> list[MXNetOperator]:
    """The columns joined, box_nms, and its result taken apart; without class numbers there is one column less."""
    numbered = len(node.inputs) == 3
    indices = {"id_index": 0, "score_index": 1, "coord_start": 2}
    if not numbered:
        indices = {"id_index": -1, "score_index": 0, "coord_start": 1}
    return [
        MXNetOperator("Concat", {"dim": 2, "num_args": len(node.inputs)}),
        MXNetOperator("_contrib_box_nms", {**node.attrs, **indices}),
        MXNetOperator("_split_v2", {"axis": 2, "indices": (0, 1, 2) if numbered else (0, 1), "squeeze_axis": False}),
    ]


_OF_TARGET: dict[str, Equivalent] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "max_pool2d": _max_pool2d,
    "relu": _relu,
    "abs": _same,
    "clip": _clip,
    "cvm_clip": _limited,
    "cvm_right_shift": _cvm_right_shift,
    "cvm_left_shift": _cvm_left_shift,
    "elemwise_add": _same,
    "elemwise_sub": _same,
    "broadcast_add": _same,
    "broadcast_sub": _same,
    "broadcast_mul": _same,
    "broadcast_max": _broadcast_max,
    "broadcast_div": _broadcast_div,
    "broadcast_greater": _same,
    "sum": _reduction,
    "max": _reduction,
    "concatenate": _concatenate,
    "flatten": _flatten,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "transpose": _transpose,
    "repeat": _repeat,
    "tile": _tile,
    "upsampling": _upsampling,
    "strided_slice": _strided_slice,
    "take": _take,
    "cvm_lut": _cvm_lut,
    "where": _same,
    "get_valid_counts": _custom(VALID),
    "non_max_suppression": _custom(SUPPRESS),
}
"""The target's operators that MRT emits."""

TARGETED = frozenset(_OF_TARGET)
"""Their names."""

_OF_FLOATS: dict[str, Equivalent] = {
    "softrelu": _softrelu,
    "mrt_chain": _chain,
    "mrt_box_nms": _box_nms,
    "mrt_sum_softmax": _sum_softmax,
}
"""Operators of float graphs that MXNet does not have under that name."""
