"""The native runtime: a model directory, compiled once at load and run at the speed of the processor.

Results are the integers of `cvm.formal`, whatever the processor, the number of threads and the batch size.
"""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvm import _native
from cvm.errors import CVMError, LimitError
from cvm.quantization import dequantize, quantize, saturate
from cvm.table import table

Array = NDArray[Any]

__all__ = ["Model", "load"]


class Model:
    """A loaded model. Calls may come from several Python threads at a time; they run in parallel."""

    def __init__(self, native: _native.Model, ext: dict[str, Any]) -> None:
        """Wrap a native model; use `load`."""
        self._native = native
        self._ext = ext

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input as stored; the first dimension is the batch, and any batch runs."""
        return tuple(self._native.input_shape)

    @property
    def input_precision(self) -> int:
        """Precision of the input: values are clipped to +-(2^(p-1) - 1)."""
        return int(self._native.input_precision)

    @property
    def output_precisions(self) -> tuple[int, ...]:
        """Precision of every head."""
        return tuple(self._native.output_precisions)

    @property
    def threads(self) -> int:
        """Most threads that one call uses."""
        return int(self._native.threads)

    @property
    def ext(self) -> dict[str, Any]:
        """The contents of `ext.json`, empty where the directory has none."""
        return self._ext

    def __call__(self, x: Array) -> Array | tuple[Array, ...]:
        """Run a batch of integers, shape (batch, ...), int8 or int32.

        Returns one array, or a tuple with one per head; int8 if every head has a precision of at most 8, else
        int32. Raises `CVMError` for a wrong shape or type.
        """
        try:
            outputs = self._native.run(self._integers(x))
        except _native.Error as error:
            raise _public(error) from None
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def plan(self, batch: int | None = None) -> dict[str, Any]:
        """How a batch runs (default: the stored batch): kernels, steps with what is fused in them, bytes, MACs.

        `input` is the shape of the part of the batch that runs at a time.
        """
        try:
            plan: dict[str, Any] = json.loads(self._native.plan(self.input_shape[0] if batch is None else batch))
        except _native.Error as error:
            raise _public(error) from None
        return plan

    def describe(self) -> str:
        """The plan of the stored batch as a table."""
        plan = self.plan()
        rows = [
            (s["macs"], s["weight_bytes"], s["tensor_bytes"], s["tasks"], s.get("ending", ""), s["title"])
            for s in plan["steps"]
        ]
        return (
            table(("MACs", "weight bytes", "tensor bytes", "tasks", "ending", "step"), rows)
            + f"\n\n{len(rows)} steps on {plan['kernels']} kernels, {plan['arena_bytes']} bytes of arena, "
            + f"{plan['constant_bytes']} bytes of packed constants.\n"
        )

    def profile(self, x: Array) -> list[float]:
        """Seconds that each step of the plan takes on one thread for this batch, in the order of `plan`."""
        try:
            return list(self._native.profile(self._integers(x)))
        except _native.Error as error:
            raise _public(error) from None

    def quantize_input(self, x: Array) -> Array:
        """Integers of real inputs: round(x / scale) - offset, halves up, clipped to the precision.

        int8 if the input's precision is at most 8, else int32. Raises `CVMError` where `ext.json` has no input scale.
        """
        entry = self._entry("input", 0)
        return quantize(x, _scales(entry, np.ndim(x)), int(entry.get("offset", 0)), self.input_precision)

    def dequantize_output(self, y: Array, head: int = 0) -> Array:
        """Real values of the integers of a head: (y + offset) * scale, in float64.

        Raises `CVMError` where `ext.json` has no scale for that output.
        """
        entry = self._entry("outputs", head)
        return dequantize(y, _scales(entry, np.ndim(y)), int(entry.get("offset", 0)))

    def _integers(self, x: Array) -> Array:
        values: Array = np.asarray(x)
        if values.dtype not in (np.int8, np.int32):
            if values.dtype.kind not in "iu":
                raise CVMError(f"the input must hold integers, got {values.dtype}; see quantize_input")
            values = saturate(values, self.input_precision)
        return np.ascontiguousarray(values)

    def _entry(self, key: str, index: int) -> dict[str, Any]:
        entry = self._ext.get(key)
        if isinstance(entry, list):
            entry = entry[index] if 0 <= index < len(entry) else None
        if not isinstance(entry, dict) or "scale" not in entry:
            raise CVMError(f"ext.json gives no scale for {key}" + (f" {index}" if key == "outputs" else ""))
        return entry


def load(directory: str | os.PathLike[str], threads: int | None = None) -> Model:
    """Load a model directory (`symbol`, `params`, optionally `ext.json`); `threads` defaults to all processors.

    Raises `CVMError` for missing or damaged files and for models that the target refuses.
    """
    if threads is not None and threads < 1:
        raise CVMError(f"threads={threads}: must be at least 1")
    path = Path(directory)
    if not path.is_dir():
        raise CVMError(f"{path} is not a model directory")
    try:
        native = _native.load(str(path), threads or 0)
    except _native.Error as error:
        raise _public(error, f"{path}: ") from None
    return Model(native, _read_ext(path / "ext.json"))


def _public(error: _native.Error, where: str = "") -> CVMError:
    """The public form of what the native runtime raises."""
    kind = LimitError if isinstance(error, _native.LimitError) else CVMError
    return kind(f"{where}{error}")


def _read_ext(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        ext = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CVMError(f"{path} is not valid JSON ({str(error)[:80]})") from None
    if not isinstance(ext, dict):
        raise CVMError(f"{path} must hold an object")
    return ext


def _scales(entry: dict[str, Any], rank: int) -> Array:
    """The scale of an entry, shaped to broadcast along axis 1 where there is one per channel."""
    scale = entry["scale"]
    try:
        if isinstance(scale, list):
            values = np.array([float(Fraction(item)) for item in scale])
            return values.reshape((1, -1) + (1,) * max(rank - 2, 0))
        return np.asarray(float(Fraction(scale)))
    except (TypeError, ValueError, ZeroDivisionError):
        raise CVMError(f"ext.json: {scale!r:.60} is not a scale") from None
