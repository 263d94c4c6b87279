"""The native runtime: a model directory, compiled once at load and run at the speed of the processor.

Results are the integers of `cvm.formal`, whatever the processor, the number of threads and the batch size.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvm import _native
from cvm.description import Description
from cvm.errors import Cancelled, CVMError, LimitError
from cvm.interface import Interface, Prediction, Values
from cvm.package import PARAMS, SYMBOL, read_package
from cvm.table import table

Array = NDArray[Any]
_LARGEST = 2**63 - 1

DEFAULT_MEMORY: int = _native.DEFAULT_MEMORY
"""Bytes that a model may take where nothing else is said."""

__all__ = ["DEFAULT_MEMORY", "Cancel", "LoadedModel", "load"]


class Cancel:
    """A handle that stops runs: give it to calls of models, and `set()` it from any thread, for good."""

    def __init__(self) -> None:
        self.native = _native.Cancel()

    def set(self) -> None:
        """Stop the runs that were given this handle, those that begin later too."""
        self.native.set()


class LoadedModel:
    """A loaded model. Calls may come from several Python threads at a time; they run in parallel."""

    def __init__(self, native: _native.Model, interface: Interface, sha256: str | None = None) -> None:
        """Wrap a native model; use `load`."""
        self._native = native
        self._interface = interface
        self._sha256 = sha256

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
    def description(self) -> Description:
        """What `ext.json` says of inputs, outputs and labels; empty where the directory has none."""
        return self._interface.description

    @property
    def sha256(self) -> str | None:
        """The digest of the whole directory, as its `manifest.json` has it; None for an older directory without one."""
        return self._sha256

    @property
    def kernels(self) -> str:
        """The table of kernels that runs: `avx512`, `dotprod`, `portable` or another of docs/runtime.md."""
        return str(self._native.kernels)

    def operations(self, batch: int | None = None) -> int:
        """The reference's operation count of a batch (default: the stored batch); see `cvm.charge`."""
        try:
            return int(self._native.operations(self.input_shape[0] if batch is None else batch))
        except _native.Error as error:
            raise _public(error) from None

    def __call__(
        self, x: Values, *, timeout: float | None = None, cancel: Cancel | None = None
    ) -> Array | tuple[Array, ...]:
        """Run a batch of integers, shape (batch, ...), int8 or int32; or a dict of them, one for each input by name.

        Where an input takes pixels (`cvm.description`), bytes (uint8) are pictures as they are.

        Returns one array, or a tuple with one per head; int8 if every head has a precision of at most 8, else
        int32. Raises `CVMError` for a wrong shape or type, `LimitError` where the run wants more than `load` allowed,
        and `Cancelled` after `timeout` seconds or when `cancel` is set: within milliseconds, whatever the model does.
        """
        if timeout is not None and not timeout >= 0:
            raise CVMError(f"timeout={timeout}: must be a number of seconds")
        values = np.ascontiguousarray(self._interface.integers(x))
        try:
            outputs = self._native.run(values, timeout, cancel.native if cancel else None)
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

    def profile(self, x: Values) -> list[float]:
        """Seconds that each step of the plan takes on one thread for this batch, in the order of `plan`."""
        try:
            return list(self._native.profile(np.ascontiguousarray(self._interface.integers(x))))
        except _native.Error as error:
            raise _public(error) from None

    def quantize_input(self, x: Values) -> Array:
        """Integers of real inputs: floor(x / scale + 0.5) - offset, clipped to the precision; several inputs packed.

        Of pixels (`cvm.description`), floor(x / scale + zero + 0.5) - offset; bytes (uint8) are pictures as they are.
        int8 if the input's precision is at most 8, else int32. Integers of an input with scale 1 are taken as they are.
        Warns once (`CVMWarning`) of values outside the input's range. Raises `CVMError` where `ext.json` has no input
        scale.
        """
        return self._interface.quantize(x)

    def dequantize_output(self, y: Array, head: int = 0) -> Array:
        """Real values of the integers of a head: (y + offset) * scale, in float64.

        Raises `CVMError` where `ext.json` has no scale for that output.
        """
        return self._interface.dequantize(y, head)

    def preprocess(self, picture: Any, name: str | None = None) -> Array:
        """The network input (1, C, H, W) of a picture, made as the calibration data was (`cvm.picture`).

        Where the model takes pixels, these are bytes, only cut to size; else real numbers. `picture` is uint8 of shape
        (H, W, C), a PIL picture, or the path of a PNG or JPEG file; `name` says which input, where several take
        pictures. Raises `CVMError` where `ext.json` does not record how, or the picture does not fit.
        """
        return self._interface.preprocess(picture, name)

    def predict(self, picture: Any, top: int = 5) -> list[Prediction]:
        """The `top` best classes of a picture with their labels and scores, as `preprocess` takes it.

        Raises `CVMError` as `preprocess` does, and where the model has several inputs or outputs, or is no classifier.
        """
        outputs = self(self.quantize_input(self.preprocess(picture)))
        if isinstance(outputs, tuple):
            raise CVMError(f"the model has {len(outputs)} outputs, not one with class scores")
        return self._interface.best(outputs, top)


def load(
    directory: str | os.PathLike[str],
    threads: int | None = None,
    *,
    max_memory: int | None = None,
    max_operations: int | None = None,
) -> LoadedModel:
    """Load a model directory (`cvm.package`); `threads` defaults to all processors.

    `max_memory`: bytes that the model may take in all, its runs included (default: `DEFAULT_MEMORY`).
    `max_operations`: the reference's operation count that a run may have (default: any). Both are kept at load and at
    every run. Raises `CVMError` for missing or damaged files and for models that the target refuses, `LimitError`
    where a limit is exceeded.
    """
    for name, value in (("threads", threads), ("max_memory", max_memory), ("max_operations", max_operations)):
        if value is not None and value < 1:
            raise CVMError(f"{name}={value}: must be at least 1")
    memory, operations = (None if v is None else min(v, _LARGEST) for v in (max_memory, max_operations))
    most = DEFAULT_MEMORY if memory is None else memory
    _check_size(Path(directory), most)
    files = read_package(directory, most)
    try:
        native = _native.load(files.contents[SYMBOL], files.contents[PARAMS], threads or 0, memory, operations)
    except _native.Error as error:
        raise _public(error, f"{Path(directory)}: ") from None
    try:
        interface = Interface(files.description(), tuple(native.input_shape), native.input_precision)
    except CVMError as error:
        raise CVMError(f"{Path(directory)}: {error}") from None
    return LoadedModel(native, interface, files.sha256)


def _check_size(directory: Path, limit: int) -> None:
    """Refuse files beyond the limit before they are read; what cannot be asked is left to the reader."""
    try:
        size = (directory / PARAMS).stat().st_size
    except (OSError, ValueError):
        return
    if size > limit:
        raise LimitError(f"{directory}: the params of {size} bytes would exceed max_memory={limit}")


def _public(error: _native.Error, where: str = "") -> CVMError:
    """The public form of what the native runtime raises."""
    kinds: dict[type, type[CVMError]] = {_native.LimitError: LimitError, _native.Cancelled: Cancelled}
    return kinds.get(type(error), CVMError)(f"{where}{error}")
