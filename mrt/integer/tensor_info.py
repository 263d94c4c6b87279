"""What the integers of a network's input or output mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from cvm import quantization

from mrt.graph import Array
from mrt.integer.pixels import Pixels


@dataclass(frozen=True)
class TensorInfo:
    """How the integers of one input or output relate to real numbers: real = scale * (q + offset).

    `rows` is, for an input that numbers the rows of a table, how many there are. An input of pixels has `pixels`, which
    say what each channel means instead. Of an output of class numbers, `classes` is how many classes there are.
    """

    name: str
    scale: sympy.Rational
    offset: int
    precision: int
    rows: int | None = None
    pixels: Pixels | None = None
    classes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the exact scale as a string; of pixels, as `cvm.description` has them."""
        counts = {name: count for name, count in (("rows", self.rows), ("classes", self.classes)) if count is not None}
        named = {"name": self.name, "scale": str(self.scale), "offset": self.offset, "precision": self.precision}
        if self.pixels is None:
            return {**named, **counts}
        scale, zero = ([str(number) for number in each] for each in (self.pixels.steps, self.pixels.zeros))
        return {**named, "scale": scale, "offset": self.pixels.offset, "zero": zero}

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> TensorInfo:
        """What `to_json` wrote."""
        name, offset, precision = str(item["name"]), int(item["offset"]), int(item["precision"])
        if "zero" not in item:
            scale = sympy.Rational(item["scale"])
            return cls(name, scale, offset, precision, item.get("rows"), classes=item.get("classes"))
        steps, zeros = (tuple(sympy.Rational(number) for number in item[key]) for key in ("scale", "zero"))
        return cls.of_pixels(name, Pixels(steps, zeros, offset), precision)

    @classmethod
    def of_pixels(cls, name: str, pixels: Pixels, precision: int) -> TensorInfo:
        """Of an input of pixels."""
        if pixels.alike:
            return cls(name, pixels.steps[0], pixels.offset - int(pixels.zeros[0]), precision, pixels=pixels)
        return cls(name, sympy.Integer(1), pixels.offset, precision, pixels=pixels)


def quantize_input(data: Array, info: TensorInfo) -> Array:
    """Real input, or bytes for pixels, to the integers that the model takes, as the runtime's own `quantize_input`."""
    if info.pixels is not None:
        if data.dtype == np.uint8:
            return quantization.saturate(data.astype(np.int32) - info.pixels.offset, info.precision)
        step, zero = info.pixels.along(data.ndim)
        return quantization.quantize(data, step, info.pixels.offset, info.precision, zero)
    return quantization.quantize(data, float(info.scale), info.offset, info.precision)


def dequantize(array: Array, info: TensorInfo) -> Array:
    """Integers to real numbers: scale * (q + offset); class numbers stay whole numbers."""
    if info.classes is not None:
        return np.asarray(array, dtype=np.int32)
    return quantization.dequantize(array, float(info.scale), info.offset)
