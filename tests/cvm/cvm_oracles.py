"""Independent evaluations of the operators: plain Python loops and MXNet in float64."""

from __future__ import annotations

import ast
import itertools

import mxnet as mx
import numpy as np


def _nd(x):
    return mx.nd.array(x, dtype="float64")


def _np(y):
    return y.asnumpy().astype(np.int64)


def _value(text):
    try:
        return ast.literal_eval(text) if isinstance(text, str) else text
    except (ValueError, SyntaxError):
        return text  # a name such as a layout


def expected(op, attrs, inputs):
    """The outputs the operator must have, int64."""
    a = {key: _value(value) for key, value in attrs.items()}
    result = _ORACLES[op](a, *inputs)
    return list(result) if isinstance(result, tuple) else [result]


def _each(function):
    """Elementwise, in Python integers."""

    def oracle(a, *inputs):
        arrays = np.broadcast_arrays(*inputs)
        out = [function(a, *(int(v) for v in values)) for values in zip(*(x.ravel() for x in arrays))]
        return np.array(out, np.int64).reshape(arrays[0].shape)

    return oracle


def _saturate(value, precision):
    bound = 2 ** (precision - 1) - 1
    return max(-bound, min(bound, value))


def _truncated(a, x, y):
    return 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _conv2d(a, x, w, b=None):
    y = mx.nd.Convolution(
        _nd(x), _nd(w), *([_nd(b)] if a["use_bias"] else []), kernel=a["kernel_size"], stride=a["strides"],
        pad=a["padding"], dilate=a["dilation"], num_filter=a["channels"], num_group=a["groups"],
        no_bias=not a["use_bias"],
    )  # fmt: skip
    return _np(y)


def _dense(a, x, w, b=None):
    result = [[sum(int(p) * int(q) for p, q in zip(row, unit)) for unit in w] for row in x]
    return np.array(result, np.int64) + (0 if b is None else b.astype(np.int64))


def _max_pool2d(a, x):
    # MXNet pools infinities in float; int32 values are exact there.
    convention = "full" if a["ceil_mode"] else "valid"
    y = mx.nd.Pooling(
        _nd(x), kernel=a["pool_size"], stride=a["strides"], pad=a["padding"], pool_type="max",
        pooling_convention=convention,
    )  # fmt: skip
    return _np(y)


def _reduction(name):
    def oracle(a, x):
        rank = x.ndim
        axes = [i % rank for i in a["axis"]] or list(range(rank))
        if a["axis"] and a["exclude"]:
            axes = [i for i in range(rank) if i not in axes]
        out: dict[tuple[int, ...], list[int]] = {}
        for index in itertools.product(*map(range, x.shape)):
            key = tuple(0 if i in axes else v for i, v in enumerate(index))
            out.setdefault(key, []).append(int(x[index]))
        shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
        y = np.array([sum(v) if name == "sum" else max(v) for _, v in sorted(out.items())], np.int64).reshape(shape)
        kept = tuple(d for i, d in enumerate(shape) if i not in axes) or (1,)
        return y if a["keepdims"] else y.reshape(kept)

    return oracle


def _tile(a, x):
    rank = max(x.ndim, len(a["reps"]))
    x = x.reshape((1,) * (rank - x.ndim) + x.shape)
    reps = (1,) * (rank - len(a["reps"])) + a["reps"]
    index = np.indices(tuple(d * r for d, r in zip(x.shape, reps)))
    return x[tuple(i % d for i, d in zip(index, x.shape))]


def _reshape(a, x):
    return _np(mx.nd.reshape(_nd(x), shape=a["shape"]))


def _squeeze(a, x):
    y = np.squeeze(x, axis=tuple(i for i in a["axis"]) or None)
    return y.reshape(y.shape or (1,))


def _expand_dims(a, x):
    y, axis = x, a["axis"] + (x.ndim + 1 if a["axis"] < 0 else 0)
    for _ in range(a["num_newaxis"]):
        y = np.expand_dims(y, axis)
    return y


def _strided_slice(a, x):
    return x[tuple(slice(*parts) for parts in zip(a["begin"], a["end"], a["stride"]))]


def _slice_like(a, x, like):
    return _np(mx.nd.slice_like(_nd(x), _nd(like), axes=a["axis"]))


def _take(a, data, indices):
    if a["axis"] is None:
        return _np(mx.nd.take(_nd(data).reshape(-1), _nd(indices), axis=0, mode="clip"))
    return _np(mx.nd.take(_nd(data), _nd(indices), axis=a["axis"], mode="clip"))


def _lut(a, index, table):
    values = [int(table[min(max(int(i), 0), len(table) - 1)]) for i in index.ravel()]
    return np.array(values).reshape(index.shape)


def _where(a, condition, x, y):
    return _np(mx.nd.where(_nd(condition), _nd(x), _nd(y)))


def _get_valid_counts(a, x):
    counts, rows = [], []
    for batch in x.tolist():
        valid = [row for row in batch if row[1] > a["score_threshold"]]
        counts.append(len(valid))
        rows.append(valid + [[-1] * x.shape[2]] * (x.shape[1] - len(valid)))
    return np.array(counts), np.array(rows)


def _overlaps(a, b, threshold):
    """Whether floor(100 * inter / union) >= threshold, decided without dividing."""
    w = min(a[4], b[4]) - max(a[2], b[2])
    h = min(a[5], b[5]) - max(a[3], b[3])
    inter = w * h if w > 0 and h > 0 else 0
    total = (a[4] - a[2]) * (a[5] - a[3]) + (b[4] - b[2]) * (b[5] - b[3])
    return total > 0 and total - inter > 0 and 100 * inter >= threshold * (total - inter)


def _nms(a, x, counts):
    result = []
    for batch, count in zip(x.tolist(), counts.tolist()):
        rows = sorted(batch[: max(0, min(count, len(batch)))], key=lambda row: -row[1])
        if a["top_k"] >= 0:
            rows = rows[: a["top_k"]]
        kept: list[list[int]] = []
        for row in (row for row in rows if row[0] >= 0):
            rivals = [k for k in kept if a["force_suppress"] or k[0] == row[0]]
            if not any(_overlaps(k, row, a["iou_threshold"]) for k in rivals):
                kept.append(row)
        if a["max_output_size"] >= 0:
            kept = kept[: a["max_output_size"]]
        result.append(kept + [[-1] * 6] * (len(batch) - len(kept)))
    return np.array(result)


_ORACLES = {
    "conv2d": _conv2d,
    "dense": _dense,
    "max_pool2d": _max_pool2d,
    "upsampling": lambda a, x: _np(mx.nd.UpSampling(_nd(x), scale=a["scale"], sample_type="nearest")),
    "relu": _each(lambda a, x: max(x, 0)),
    "abs": _each(lambda a, x: abs(x)),
    "negative": _each(lambda a, x: -x),
    "cvm_precision": _each(lambda a, x: max(1, abs(x).bit_length())),
    "clip": _each(lambda a, x: max(a["a_min"], min(a["a_max"], x))),
    "cvm_clip": _each(lambda a, x: _saturate(x, a["precision"])),
    "cvm_right_shift": _each(lambda a, x: _saturate(((x >> (a["shift_bit"] - 1)) + 1) >> 1, a["precision"])),
    "cvm_left_shift": _each(lambda a, x: _saturate(x * 2 ** a["shift_bit"], a["precision"])),
    **dict.fromkeys(["elemwise_add", "broadcast_add"], _each(lambda a, x, y: x + y)),
    **dict.fromkeys(["elemwise_sub", "broadcast_sub"], _each(lambda a, x, y: x - y)),
    "broadcast_mul": _each(lambda a, x, y: x * y),
    "broadcast_max": _each(lambda a, x, y: max(x, y)),
    "broadcast_div": _each(_truncated),
    "broadcast_greater": _each(lambda a, x, y: int(x > y)),
    "sum": _reduction("sum"),
    "max": _reduction("max"),
    "concatenate": lambda a, *x: _np(mx.nd.concat(*map(_nd, x), dim=a["axis"])),
    "transpose": lambda a, x: _np(mx.nd.transpose(_nd(x), axes=tuple(i % x.ndim for i in a["axes"]))),
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "flatten": lambda a, x: _np(mx.nd.flatten(_nd(x))),
    "repeat": lambda a, x: _np(mx.nd.repeat(_nd(x), repeats=a["repeats"], axis=a["axis"])),
    "tile": _tile,
    "strided_slice": _strided_slice,
    "slice_like": _slice_like,
    "take": _take,
    "cvm_lut": _lut,
    "where": _where,
    "get_valid_counts": _get_valid_counts,
    "non_max_suppression": _nms,
}
