"""conv2d: 2-D convolution, NCHW data and OIHW weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cvm.ops.affine import affine_bound, affine_range, known_or_uniform
from cvm.ops.attributes import require, within
from cvm.ops.base import Array, Operator, Range, Shape, to_int32

_BLOCK = 2**22  # elements of one im2col block (32 MiB of float64)


@dataclass(frozen=True)
class Conv2DAttributes:
    """Attributes of conv2d; pairs are (height, width)."""

    channels: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    out_layout: str = "__undef__"
    out_dtype: str = "same"
    use_bias: bool = True

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        require(self.channels >= 1, "attribute channels must be at least 1")
        require(self.groups >= 1, "attribute groups must be at least 1")
        for name in ("kernel_size", "strides", "padding", "dilation"):
            value = getattr(self, name)
            require(len(value) == 2, f"attribute {name} must have two values, got {value}")
            within(name, value, 0 if name == "padding" else 1, 4096)
        require(self.layout == "NCHW", f"layout {self.layout!r}: only NCHW is supported")
        require(self.kernel_layout == "OIHW", f"kernel_layout {self.kernel_layout!r}: only OIHW is supported")
        require(self.out_layout in ("__undef__", "NCHW"), f"out_layout {self.out_layout!r}: only NCHW is supported")
        require(self.out_dtype in ("same", "int32"), f"out_dtype {self.out_dtype!r}: only int32 is supported")


class Conv2D(Operator[Conv2DAttributes]):
    """y[n,o] = sum over inputs and taps of x * w, zero padded, plus b[o]."""

    name = "conv2d"
    attributes = Conv2DAttributes
    arity = (2, 3)

    def _shape(self, a: Conv2DAttributes, shapes: list[Shape]) -> list[Shape]:
        expected = 3 if a.use_bias else 2
        require(len(shapes) == expected, f"use_bias={a.use_bias} needs {expected} inputs, got {len(shapes)}")
        x, w = shapes[0], shapes[1]
        require(len(x) == 4, f"data must be 4-D (NCHW), got {x}")
        require(
            x[1] % a.groups == 0 and a.channels % a.groups == 0,
            f"groups={a.groups} must divide the input channels {x[1]} and the output channels {a.channels}",
        )
        weight = (a.channels, x[1] // a.groups, *a.kernel_size)
        require(w == weight, f"weight must be {weight}, got {w}")
        if a.use_bias:
            require(shapes[2] == (a.channels,), f"bias must be {(a.channels,)}, got {shapes[2]}")
        spatial = []
        for size, kernel, stride, pad, dilation in zip(x[2:], a.kernel_size, a.strides, a.padding, a.dilation):
            free = size + 2 * pad - (dilation * (kernel - 1) + 1)
            require(free >= 0, f"the kernel {a.kernel_size} exceeds the padded input {x[2:]}")
            spatial.append(free // stride + 1)
        return [(x[0], a.channels, *spatial)]

    def _precision(self, a: Conv2DAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [product_precision(precisions, math.prod(shapes[1][1:]))]

    def _operands(
        self, a: Conv2DAttributes, ranges: list[Range], shapes: list[Shape]
    ) -> tuple[Range, Range, tuple[int, int, int, int], Range | None]:
        x = ranges[0].along(shapes[0], 1)
        if any(a.padding):  # a padded tap contributes 0
            x = x.union(Range.of(0, 0))
        w = shapes[1]
        view = (a.groups, w[0] // a.groups, w[1], w[2] * w[3])
        return x, known_or_uniform(ranges[1], w), view, ranges[2] if a.use_bias else None

    def _range(self, a: Conv2DAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        y = affine_range(*self._operands(a, ranges, shapes))
        return [Range(y.lo.reshape(1, -1, 1, 1), y.hi.reshape(1, -1, 1, 1))]

    def _bound(self, a: Conv2DAttributes, ranges: list[Range], shapes: list[Shape]) -> int:
        return affine_bound(*self._operands(a, ranges, shapes))

    def _formal(self, a: Conv2DAttributes, inputs: list[Array]) -> list[Array]:
        """Products and sums in floating point wide enough to be exact; see `exact_float`."""
        _, _, height, width = self._shape(a, [value.shape for value in inputs])[0]
        kind = exact_float(inputs)
        pad_h, pad_w = a.padding
        padded = np.pad(inputs[0].astype(kind), ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
        weight = inputs[1].astype(kind)
        if weight.shape[1] == 1:
            y = _depthwise(a, padded, weight, height, width)
        else:
            y = _grouped(a, padded, weight, height, width)
        if a.use_bias:
            y += inputs[2].astype(kind).reshape(1, -1, 1, 1)
        return [to_int32(y)]

    def _charge(self, a: Conv2DAttributes, shapes: list[Shape]) -> int:
        return 3 * math.prod(shapes[1][1:]) + a.use_bias

    def macs(self, attrs: Mapping[str, str], shapes: Sequence[Shape]) -> int:
        """Output elements times the taps of one output."""
        return math.prod(self.infer_shape(attrs, shapes)[0]) * math.prod(shapes[1][1:])


def product_precision(precisions: list[int], terms: int) -> int:
    """Precision of a sum of `terms` products: xp + wp + bit_length(terms); a bias makes it max(that, bp) + 1."""
    x, w = precisions[0], precisions[1]
    require(x <= 8, f"data precision {x} exceeds 8")
    require(w <= 8, f"weight precision {w} exceeds 8")
    result = x + w + terms.bit_length()
    return max(result, precisions[2]) + 1 if len(precisions) == 3 else result


def exact_float(inputs: list[Array]) -> type[np.float32] | type[np.float64]:
    """The float type in which x * w summed in any order, plus b, is exact: no partial sum exceeds its integers.

    float32 where max|x| * sum|w| + |b| < 2^24 for every output, else float64: int32 sums are below 2^53.
    """
    x, w = inputs[0], inputs[1]
    largest = max(abs(int(x.max())), abs(int(x.min())))
    sums = largest * np.abs(w).reshape(w.shape[0], -1).sum(axis=1, dtype=np.int64)
    if len(inputs) == 3:
        sums += np.abs(inputs[2].astype(np.int64))
    return np.float32 if int(sums.max()) < 2**24 else np.float64


def _tap(a: Conv2DAttributes, padded: Array, i: int, j: int, rows: range, width: int) -> Array:
    """The values kernel tap (i, j) meets at output rows `rows`: (..., len(rows), width), a view."""
    (stride_h, stride_w), (dilation_h, dilation_w) = a.strides, a.dilation
    top, left = i * dilation_h + rows.start * stride_h, j * dilation_w
    return padded[
        ...,
        top : top + (len(rows) - 1) * stride_h + 1 : stride_h,
        left : left + (width - 1) * stride_w + 1 : stride_w,
    ]


def _depthwise(a: Conv2DAttributes, padded: Array, weight: Array, height: int, width: int) -> Array:
    """One input channel per group: shifted multiply-adds."""
    source = np.repeat(padded, a.channels // a.groups, axis=1) if a.channels != a.groups else padded
    y = np.zeros((padded.shape[0], a.channels, height, width), padded.dtype)
    for i in range(a.kernel_size[0]):
        for j in range(a.kernel_size[1]):
            y += _tap(a, source, i, j, range(height), width) * weight[:, 0, i, j].reshape(-1, 1, 1)
    return y


def _grouped(a: Conv2DAttributes, padded: Array, weight: Array, height: int, width: int) -> Array:
    """Matrix products over im2col blocks of a few output rows."""
    kernel_h, kernel_w = a.kernel_size
    batch, inputs = padded.shape[0], padded.shape[1] // a.groups
    outputs, depth = a.channels // a.groups, inputs * kernel_h * kernel_w
    matrix = weight.reshape(a.groups, outputs, depth)
    grouped = padded.reshape(batch, a.groups, inputs, *padded.shape[2:])
    y = np.empty((batch, a.groups, outputs, height, width), padded.dtype)
    step = max(1, _BLOCK // (a.groups * depth * width))
    for n in range(batch):
        for start in range(0, height, step):
            rows = range(start, min(start + step, height))
            columns = np.empty((a.groups, inputs, kernel_h, kernel_w, len(rows), width), padded.dtype)
            for i in range(kernel_h):
                for j in range(kernel_w):
                    columns[:, :, i, j] = _tap(a, grouped[n], i, j, rows, width)
            block = np.matmul(matrix, columns.reshape(a.groups, depth, -1))
            y[n, :, :, rows.start : rows.stop] = block.reshape(a.groups, outputs, len(rows), width)
    return y.reshape(batch, a.channels, height, width)
