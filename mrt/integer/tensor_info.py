"""What the integers of a network's input or output mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy
from cvm import quantization

from mrt.graph import Array


@dataclass(frozen=True)
class TensorInfo:
    """How the integers of one input or output relate to real numbers: real = scale * (q + offset).

    `rows` is, for an input that numbers the rows of a table, how many there are.
    """

    name: str
    scale: sympy.Rational
    offset: int
    precision: int
    rows: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the exact scale as a string."""
        rows = {} if self.rows is None else {"rows": self.rows}
        return {"name": self.name, "scale": str(self.scale), "offset": self.offset, "precision": self.precision, **rows}

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> TensorInfo:
        """What `to_json` wrote."""
        return cls(
            item["name"], sympy.Rational(item["scale"]), int(item["offset"]), int(item["precision"]), item.get("rows")
        )


def quantize_input(data: Array, info: TensorInfo) -> Array:
    """Real input to the integers that the model takes, as the runtime's own `quantize_input` does."""
    return quantization.quantize(data, float(info.scale), info.offset, info.precision)


def dequantize(array: Array, info: TensorInfo) -> Array:
    """Integers to real numbers: scale * (q + offset)."""
    return quantization.dequantize(array, float(info.scale), info.offset)
