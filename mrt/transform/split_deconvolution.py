"""Makes convolutions of deconvolutions, without multiplications by the zeros between the pixels.

    deconv(x, w 4x4, stride 2)  =>  interleave(conv(x, w[0::2, 0::2]), conv(x, w[0::2, 1::2]), …)

Entry o of the whole output (padding not yet cut off) is the sum of x[i] w[k] with o = i s + k d. All o = s j + r of one
phase r take the same weights, those with k d = r (mod s), at i = j - (k d - r) / s: a convolution, whose outputs of all
phases are interleaved by reshape and transpose. Where the phases have equally many weights, one convolution does all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import flag, integer, pair
from mrt.ops.slice import EVERYTHING
from mrt.transform.base import Builder, Pass


@dataclass(frozen=True)
class _Phase:
    """Along one axis: the weights in the order of the pixels they meet, and where the first meets pixel 0.

    Attributes:
        taps: numbers of the weights; -1 stands for a weight of 0.
        dilate: pixels from one to the next.
        first: the pixel that the first meets at output 0 of the phase; at most 0.
    """

    taps: tuple[int, ...]
    dilate: int
    first: int


class SplitDeconvolution(Pass):
    """Leaves no deconvolution."""

    name = "split_deconvolution"

    def run(self, graph: Graph) -> Graph:
        """The graph with convolutions."""
        builder = Builder(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.op != "Deconvolution":
                return None
            builder.current = node
            return [_split(node, inputs, builder)]

        return graph.rebuild(visit, builder.params)


def _split(node: Node, inputs: tuple[Value, ...], builder: Builder) -> Value:
    sizes = builder.shape(node.inputs[0])[2:]
    stride, dilate, pad, adjust = (
        pair(node, key, (default, default)) for key, default in (("stride", 1), ("dilate", 1), ("pad", 0), ("adj", 0))
    )
    weight = builder.constant(inputs[1])
    assert weight is not None
    kernel = weight.shape[2:]
    whole = [(size - 1) * s + d * (k - 1) + 1 for size, s, d, k in zip(sizes, stride, dilate, kernel)]
    outputs = [size - 2 * p + a for size, p, a in zip(whole, pad, adjust)]
    counts = [-(-(p + out) // s) for p, out, s in zip(pad, outputs, stride)]
    phases = [[_phase(r, k, s, d) for r in range(s)] for k, s, d in zip(kernel, stride, dilate)]
    groups = integer(node, "num_group", 1)
    weight = _as_convolution(weight, groups)
    bias = [] if flag(node, "no_bias", True) else [inputs[2]]
    channels = len(weight)

    def convolve(data: Value, chosen: Array, pair_: Sequence[_Phase], biases: Sequence[Value]) -> Value:
        """Outputs 0 to `counts` of the phase along both axes."""
        last = [c - 1 + p.first + (len(p.taps) - 1) * p.dilate for c, p in zip(counts, pair_)]
        even = [max(-p.first, end - size + 1, 0) for p, end, size in zip(pair_, last, sizes)]
        attrs = {
            "kernel": chosen.shape[2:],
            "dilate": tuple(p.dilate for p in pair_),
            "pad": tuple(even),
            "num_filter": len(chosen),
            "num_group": groups,
            "no_bias": not biases,
        }
        result = builder.op("Convolution", [data, builder.param(chosen), *biases], attrs)
        begins = [side + p.first for side, p in zip(even, pair_)]
        widths = [n + 2 * e - (len(p.taps) - 1) * p.dilate for n, e, p in zip(sizes, even, pair_)]
        return _cut(result, begins, counts, widths, builder)

    pairs = [(row, column) for row in phases[0] for column in phases[1]]
    chosen = [_chosen(weight, *each) for each in pairs]
    alike = all(each.first == axis[0].first and len(each.taps) == len(axis[0].taps) for axis in phases for each in axis)
    rows, columns = stride
    if alike and channels == groups:  # a channel's phases beside each other: they belong to one group
        weights = np.stack(chosen, axis=1).reshape(-1, *chosen[0].shape[1:])
        repeated = [_repeated(value, len(pairs), True, builder) for value in bias]
        joined = convolve(inputs[0], weights, pairs[0], repeated)
        order, axes = (-1, channels, rows, columns, *counts), (0, 1, 4, 2, 5, 3)
    else:
        if alike and groups == 1:
            repeated = [_repeated(value, len(pairs), False, builder) for value in bias]
            joined = convolve(inputs[0], np.concatenate(chosen), pairs[0], repeated)
        else:
            parts = [convolve(inputs[0], array, each, bias) for array, each in zip(chosen, pairs)]
            joined = builder.op("Concat", parts, {"dim": 1, "num_args": len(parts)}) if len(parts) > 1 else parts[0]
        order, axes = (-1, rows, columns, channels, *counts), (0, 3, 4, 1, 5, 2)
    if len(pairs) > 1:
        joined = builder.op("transpose", [builder.op("Reshape", [joined], {"shape": order})], {"axes": axes})
        sides = (counts[0] * rows, counts[1] * columns)
        joined = builder.op("Reshape", [joined], {"shape": (-1, channels, *sides)})
    return _cut(joined, pad, outputs, [c * s for c, s in zip(counts, stride)], builder)


def _phase(r: int, kernel: int, stride: int, dilate: int) -> _Phase:
    taps = [k for k in range(kernel) if k * dilate % stride == r]
    if not taps:
        return _Phase((-1,), 1, 0)
    back = [(k * dilate - r) // stride for k in taps]
    return _Phase(tuple(reversed(taps)), back[1] - back[0] if len(back) > 1 else 1, -back[-1])


def _as_convolution(weight: Array, groups: int) -> Array:
    """(I, O / groups, …) as (O, I / groups, …)."""
    inputs, outputs, *kernel = weight.shape
    split = weight.reshape(groups, inputs // groups, outputs, *kernel)
    return np.swapaxes(split, 1, 2).reshape(groups * outputs, inputs // groups, *kernel)


def _chosen(weight: Array, rows: _Phase, columns: _Phase) -> Array:
    """The weights of one phase."""
    found: Array = weight[:, :, np.array(rows.taps)[:, None], np.array(columns.taps)[None]]
    return found * 0 if -1 in rows.taps + columns.taps else found


def _repeated(bias: Value, times: int, each: bool, builder: Builder) -> Value:
    array = builder.constant(bias)
    assert array is not None
    return builder.param(np.repeat(array, times) if each else np.tile(array, times))


def _cut(value: Value, begins: Sequence[int], counts: Sequence[int], sizes: Sequence[int], builder: Builder) -> Value:
    """Rows and columns from `begins` on, `counts` of them, where that is not all."""
    if not any(begins) and list(counts) == list(sizes):
        return value
    ends = (EVERYTHING, EVERYTHING, *(begin + count for begin, count in zip(begins, counts)))
    return builder.op("slice", [value], {"begin": (0, 0, *begins), "end": ends, "step": (1, 1, 1, 1)})
