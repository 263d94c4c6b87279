"""max_pool2d and upsampling: the other operators that know about height and width (NCHW)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cvm.ops.attributes import require, within
from cvm.ops.base import Array, Operator, Range, Shape


@dataclass(frozen=True)
class MaxPool2DAttributes:
    """Attributes of max_pool2d; pairs are (height, width), a single padding serves both."""

    pool_size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    layout: str = "NCHW"
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        for name in ("pool_size", "strides"):
            value = getattr(self, name)
            require(len(value) == 2, f"attribute {name} must have two values, got {value}")
            within(name, value, 1, MAX_WINDOW)
        require(len(self.padding) in (1, 2), f"attribute padding must have one or two values, got {self.padding}")
        within("padding", self.padding, 0, MAX_WINDOW)
        require(
            all(pad < pool for pad, pool in zip(self.pads, self.pool_size)),
            f"padding {self.padding} must be smaller than the pool {self.pool_size}",
        )
        require(self.layout == "NCHW", f"layout {self.layout!r}: only NCHW is supported")

    @property
    def pads(self) -> tuple[int, int]:
        """(height, width) padding."""
        return self.padding[0], self.padding[-1]


MAX_WINDOW = 4096
_PAD_VALUE = np.iinfo(np.int32).min


class MaxPool2D(Operator[MaxPool2DAttributes]):
    """Largest value of each window; padding never wins, it counts as INT32_MIN."""

    name = "max_pool2d"
    attributes = MaxPool2DAttributes

    def _charge(self, a: MaxPool2DAttributes, shapes: list[Shape]) -> int:
        return math.prod(a.pool_size)

    def _shape(self, a: MaxPool2DAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        require(len(x) == 4, f"data must be 4-D (NCHW), got {x}")
        spatial = []
        for size, pool, stride, pad in zip(x[2:], a.pool_size, a.strides, a.pads):
            free = size + 2 * pad - pool
            require(free >= 0, f"the pool {a.pool_size} exceeds the padded input {x[2:]}")
            count = (free + stride - 1 if a.ceil_mode else free) // stride + 1
            require((count - 1) * stride - pad < size, "ceil_mode: the last window starts beyond the input")
            spatial.append(count)
        return [(x[0], x[1], *spatial)]

    def _precision(self, a: MaxPool2DAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _range(self, a: MaxPool2DAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [_per_channel(ranges[0], shapes[0])]

    def _formal(self, a: MaxPool2DAttributes, inputs: list[Array]) -> list[Array]:
        x = inputs[0]
        n, c, height, width = self._shape(a, [x.shape])[0]
        (stride_h, stride_w), (pad_h, pad_w) = a.strides, a.pads
        rows, columns = (height - 1) * stride_h + 1, (width - 1) * stride_w + 1
        padded = np.full((n, c, rows + a.pool_size[0] - 1, columns + a.pool_size[1] - 1), _PAD_VALUE, np.int32)
        # Rows and columns that no window reaches are cut off; a ceil_mode window may reach beyond the padding.
        core = x[:, :, : padded.shape[2] - pad_h, : padded.shape[3] - pad_w]
        padded[:, :, pad_h : pad_h + core.shape[2], pad_w : pad_w + core.shape[3]] = core
        y = np.full((n, c, height, width), _PAD_VALUE, np.int32)
        for i in range(a.pool_size[0]):
            for j in range(a.pool_size[1]):
                np.maximum(y, padded[:, :, i : i + rows : stride_h, j : j + columns : stride_w], out=y)
        return [y]


@dataclass(frozen=True)
class UpsamplingAttributes:
    """Attributes of upsampling."""

    scale: int
    layout: str = "NCHW"
    method: str = "NEAREST_NEIGHBOR"

    def __post_init__(self) -> None:
        """Refuse illegal values."""
        within("scale", self.scale, 1, 4096)
        require(self.layout == "NCHW", f"layout {self.layout!r}: only NCHW is supported")
        require(self.method == "NEAREST_NEIGHBOR", f"method {self.method!r}: only NEAREST_NEIGHBOR is supported")


class Upsampling(Operator[UpsamplingAttributes]):
    """Every pixel repeated `scale` times in both directions."""

    name = "upsampling"
    attributes = UpsamplingAttributes

    def _shape(self, a: UpsamplingAttributes, shapes: list[Shape]) -> list[Shape]:
        x = shapes[0]
        require(len(x) == 4, f"data must be 4-D (NCHW), got {x}")
        return [(x[0], x[1], x[2] * a.scale, x[3] * a.scale)]

    def _precision(self, a: UpsamplingAttributes, precisions: list[int], shapes: list[Shape]) -> list[int]:
        return [precisions[0]]

    def _range(self, a: UpsamplingAttributes, ranges: list[Range], shapes: list[Shape]) -> list[Range]:
        return [_per_channel(ranges[0], shapes[0])]

    def _formal(self, a: UpsamplingAttributes, inputs: list[Array]) -> list[Array]:
        return [np.repeat(np.repeat(inputs[0], a.scale, axis=2), a.scale, axis=3)]


def _per_channel(x: Range, shape: Shape) -> Range:
    return x if x.lo.size == 1 and x.hi.size == 1 else x.along(shape, 1)
