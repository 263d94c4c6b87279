"""Random legal uses of every operator of the target: attributes, input shapes and precisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cvm import Model, Node, ops
from cvm.ops.base import Range, limit


@dataclass
class Case:
    op: str
    attrs: dict[str, str]
    shapes: list[tuple[int, ...]]
    precisions: list[int]


def make(op: str, rng: np.random.Generator) -> Case:
    """A legal case of `op`."""
    shapes, attrs, precisions = _MAKERS[op](rng)
    return Case(op, {key: str(value) for key, value in attrs.items()}, shapes, precisions)


def ranged_inputs(case: Case, rng: np.random.Generator) -> tuple[list[Range], list[np.ndarray]]:
    """For each input a range (uniform, per channel, or known) and values in it that favour its ends."""
    ranges, values = [], []
    for shape, precision in zip(case.shapes, case.precisions):
        kind = rng.choice(["whole", "uniform", "channel", "known"])
        bound = limit(precision)
        axes = {"whole": (), "uniform": (), "channel": tuple(d if i == 1 else 1 for i, d in enumerate(shape))}
        ends = rng.integers(-bound, bound + 1, (2, *axes.get(kind, shape)))
        lo, hi = ends.min(axis=0), ends.max(axis=0)
        if kind == "whole":
            lo, hi = np.int64(-bound), np.int64(bound)
        if kind == "known":
            hi = lo
        low, high = np.broadcast_to(lo, shape), np.broadcast_to(hi, shape)
        value = rng.integers(low, high + 1)
        extreme = rng.random(shape)
        value = np.where(extreme < 0.3, low, np.where(extreme > 0.7, high, value)).astype(np.int32)
        ranges.append(Range.constant(value) if kind == "known" else Range.of(lo, hi))
        values.append(value)
    return ranges, values


def values(rng: np.random.Generator, shape, precision: int) -> np.ndarray:
    """Legal values that favour the extremes."""
    bound = 2 ** (precision - 1) - 1
    inner = rng.integers(-bound, bound + 1, shape)
    kind = rng.random(shape)
    return np.where(kind < 0.25, -bound, np.where(kind > 0.75, bound, inner)).astype(np.int32)


def one_operator(case: Case, rng: np.random.Generator) -> Model:
    """The operator of a case on `data` and, for its other inputs, parameters."""
    nodes, params, precisions = [Node("null", "data")], {}, {"data": case.precisions[0]}
    for i, (shape, precision) in enumerate(zip(case.shapes[1:], case.precisions[1:])):
        nodes.append(Node("null", f"p{i}"))
        params[f"p{i}"], precisions[f"p{i}"] = values(rng, shape, precision), precision
    nodes.append(Node(case.op, "y", tuple((i, 0) for i in range(len(case.shapes))), case.attrs))
    heads = [(len(nodes) - 1, k) for k in range(ops.get(case.op).outputs)]
    return Model(nodes, heads, params, precisions, tuple(case.shapes[0]))


def _shape(rng, low=1, high=4, dims=5):
    return tuple(int(d) for d in rng.integers(1, dims + 1, rng.integers(low, high + 1)))


def _bits(rng, count=1, low=1, high=32):
    return [int(p) for p in rng.integers(low, high + 1, count)]


def _conv2d(rng):
    groups = int(rng.choice([1, 1, 2, 4]))
    inputs, outputs = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    if rng.random() < 0.3:
        groups, outputs = inputs, inputs * int(rng.integers(1, 3))
    limits = ((1, 4), (1, 4), (0, 3), (1, 3))
    kernel, stride, pad, dilation = (tuple(int(v) for v in rng.integers(*ends, 2)) for ends in limits)
    size = tuple(int(v) for v in rng.integers(7, 12, 2))
    bias = bool(rng.random() < 0.5)
    attrs = {"channels": outputs, "kernel_size": kernel, "strides": stride, "padding": pad, "dilation": dilation}
    attrs |= {"groups": groups, "use_bias": bias}
    shapes = [(int(rng.integers(1, 3)), inputs, *size), (outputs, inputs // groups, *kernel)]
    return shapes + [(outputs,)] * bias, attrs, _bits(rng, 2, 1, 8) + _bits(rng, int(bias), 1, 24)


def _dense(rng):
    m, k, n = (int(v) for v in rng.integers(1, 9, 3))
    bias = bool(rng.random() < 0.5)
    shapes = [(m, k), (n, k)] + [(n,)] * bias
    return shapes, {"units": n, "use_bias": bias}, _bits(rng, 2, 1, 8) + _bits(rng, int(bias), 1, 24)


def _max_pool2d(rng):
    while True:
        pool = tuple(int(v) for v in rng.integers(1, 4, 2))
        stride = tuple(int(v) for v in rng.integers(1, 4, 2))
        pad = tuple(int(rng.integers(0, p)) for p in pool)
        size = tuple(int(v) for v in rng.integers(4, 9, 2))
        ceil = bool(rng.random() < 0.5)
        counts = [-(-(s + 2 * p - k) // t) + 1 for s, p, k, t in zip(size, pad, pool, stride)]
        if not ceil or all((c - 1) * t - p < s for c, t, p, s in zip(counts, stride, pad, size)):
            break
    attrs = {"pool_size": pool, "strides": stride, "padding": pad, "ceil_mode": ceil}
    return [(2, 3, *size)], attrs, _bits(rng)


def _upsampling(rng):
    return [_shape(rng, 4, 4)], {"scale": int(rng.integers(1, 4))}, _bits(rng)


def _unary(rng):
    return [_shape(rng)], {}, _bits(rng)


def _clip(rng):
    ends = sorted(int(v) for v in rng.choice(np.arange(-300, 301), 2, replace=False))
    return [_shape(rng)], {"a_min": ends[0], "a_max": ends[1]}, _bits(rng)


def _cvm_clip(rng):
    return [_shape(rng)], {"precision": _bits(rng)[0]}, _bits(rng)


def _right_shift(rng):
    return [_shape(rng)], {"precision": _bits(rng)[0], "shift_bit": int(rng.integers(1, 33))}, _bits(rng)


def _left_shift(rng):
    bits = int(rng.integers(1, 32))
    return [_shape(rng)], {"precision": _bits(rng)[0], "shift_bit": int(rng.integers(1, 33 - bits))}, [bits]


def _elemwise(rng):
    shape = _shape(rng)
    return [shape, shape], {}, _bits(rng, 2, 1, 31)


def _broadcast(high, low=1):
    def maker(rng):
        full = _shape(rng)
        first = tuple(1 if rng.random() < 0.3 else d for d in full)
        second = tuple(1 if rng.random() < 0.3 else d for d in full)[rng.integers(0, len(full)) :]
        return ([first, second] if rng.random() < 0.5 else [second, first]), {}, _bits(rng, 2, low, high)

    return maker


def _axes(rng, rank, count=None):
    chosen = rng.permutation(rank)[: rng.integers(0, rank + 1) if count is None else count]
    return tuple(int(i) - (rank if rng.random() < 0.3 else 0) for i in chosen)


def _reduce(rng):
    shape = _shape(rng)
    attrs = {"axis": _axes(rng, len(shape)), "keepdims": bool(rng.random() < 0.5), "exclude": bool(rng.random() < 0.3)}
    return [shape], attrs, _bits(rng, 1, 1, 20)


def _concatenate(rng):
    shape = _shape(rng, 2, 4)
    axis = int(rng.integers(0, len(shape)))
    count = int(rng.integers(1, 4))
    shapes = [(*shape[:axis], int(rng.integers(1, 4)), *shape[axis + 1 :]) for _ in range(count)]
    return shapes, {"axis": axis - (len(shape) if rng.random() < 0.3 else 0)}, _bits(rng, count)


def _transpose(rng):
    shape = _shape(rng)
    return [shape], {"axes": _axes(rng, len(shape), len(shape)) if rng.random() < 0.8 else ()}, _bits(rng)


def _reshape(rng):
    target = [(0, -1), (-1,), (-2,), (-3, -2), (0, 0, -1), (-4, 2, -1, -2), (6, -1), (3, 4, 2), (-1, 0, 0), (0, -3)]
    return [(2, 3, 4)], {"shape": target[rng.integers(len(target))]}, _bits(rng)


def _squeeze(rng):
    shape = tuple(1 if rng.random() < 0.5 else d for d in _shape(rng))
    ones = [i for i, d in enumerate(shape) if d == 1]
    axis = tuple(ones[: rng.integers(0, len(ones) + 1)])
    return [shape], {"axis": axis}, _bits(rng)


def _expand_dims(rng):
    shape = _shape(rng, 1, 3)
    axis = int(rng.integers(-len(shape) - 1, len(shape) + 1))
    return [shape], {"axis": axis, "num_newaxis": int(rng.integers(1, 4))}, _bits(rng)


def _repeat(rng):
    shape = _shape(rng)
    axis = int(rng.integers(-len(shape), len(shape)))
    return [shape], {"repeats": int(rng.integers(1, 4)), "axis": axis}, _bits(rng)


def _tile(rng):
    return [_shape(rng)], {"reps": tuple(int(r) for r in rng.integers(1, 4, rng.integers(1, 5)))}, _bits(rng)


def _strided_slice(rng):
    while True:
        shape = _shape(rng)
        count = int(rng.integers(1, len(shape) + 1))
        index = [(*map(int, rng.integers(-7, 8, 2)), int(rng.choice([-2, -1, 1, 2, 3]))) for _ in range(count)]
        if all(len(range(*slice(*i).indices(d))) for i, d in zip(index, shape)):
            begin, end, stride = zip(*index)
            return [shape], {"begin": begin, "end": end, "stride": stride}, _bits(rng)


def _slice_like(rng):
    shape = _shape(rng)
    like = tuple(int(rng.integers(1, d + 1)) for d in shape)
    axis = _axes(rng, len(shape))
    return [shape, like], {"axis": axis}, _bits(rng, 2)


def _take(rng):
    shape = _shape(rng, 1, 3)
    axis = "None" if rng.random() < 0.4 else int(rng.integers(-len(shape), len(shape)))
    return [shape, _shape(rng, 1, 3)], {"axis": axis}, _bits(rng, 2, 1, 6)


def _cvm_lut(rng):
    size = int(rng.integers(1, 40))
    return [_shape(rng), (size,)], {"in_dim": size}, _bits(rng, 2, 1, 8)


def _where(rng):
    shape = _shape(rng)
    values = _bits(rng, 2, 1, 20)
    condition = shape[:1] if rng.random() < 0.3 else shape
    return [condition, shape, shape], {}, [int(rng.integers(max(values), 33)), *values]


def _get_valid_counts(rng):
    shape = tuple(int(v) for v in (rng.integers(1, 3), rng.integers(1, 6), rng.integers(2, 8)))
    return [shape], {"score_threshold": int(rng.integers(-3, 4))}, _bits(rng, 1, 2, 5)


def _nms(rng):
    batch, rows = int(rng.integers(1, 3)), int(rng.integers(1, 12))
    attrs = {
        "iou_threshold": int(rng.integers(1, 101)),
        "force_suppress": bool(rng.random() < 0.5),
        "top_k": int(rng.integers(-1, 12)),
        "max_output_size": int(rng.integers(-1, 12)),
    }
    return [(batch, rows, 6), (batch,)], attrs, [int(rng.integers(2, 6)), 5]


_MAKERS = {
    "conv2d": _conv2d,
    "dense": _dense,
    "max_pool2d": _max_pool2d,
    "upsampling": _upsampling,
    **dict.fromkeys(["relu", "abs", "negative", "cvm_precision", "flatten"], _unary),
    "clip": _clip,
    "cvm_clip": _cvm_clip,
    "cvm_right_shift": _right_shift,
    "cvm_left_shift": _left_shift,
    **dict.fromkeys(["elemwise_add", "elemwise_sub"], _elemwise),
    **dict.fromkeys(["broadcast_add", "broadcast_sub"], _broadcast(31)),
    "broadcast_mul": _broadcast(16),
    **dict.fromkeys(["broadcast_max", "broadcast_div"], _broadcast(32)),
    "broadcast_greater": _broadcast(32, 2),
    **dict.fromkeys(["sum", "max"], _reduce),
    "concatenate": _concatenate,
    "transpose": _transpose,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "repeat": _repeat,
    "tile": _tile,
    "strided_slice": _strided_slice,
    "slice_like": _slice_like,
    "take": _take,
    "cvm_lut": _cvm_lut,
    "where": _where,
    "get_valid_counts": _get_valid_counts,
    "non_max_suppression": _nms,
}
