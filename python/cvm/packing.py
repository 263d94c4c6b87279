"""Several inputs in one: the target has a single run-time input, so a network's inputs lie side by side in it.

The packed input has shape (N, K). Row n holds sample n of every input, each without its batch axis and flattened in C
order, from its `start` on. The compiled graph takes them apart again (`nodes`): slice, clip to the input's own
precision, reshape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cvm.errors import CVMError
from cvm.model import INPUT, Node
from cvm.ops.base import MAX_DIM, Array, Shape, stored_type
from cvm.quantization import saturate

BATCH = -1


@dataclass(frozen=True)
class Slot:
    """An input and its place in the packed one.

    Attributes:
        name: of the input.
        shape: with -1 on the batch axis.
        precision: its values are at most 2^(precision-1) - 1 in magnitude.
        start: where its part of a row begins.
    """

    name: str
    shape: Shape
    precision: int
    start: int = 0

    @property
    def batch_axis(self) -> int:
        """Which axis of the input counts samples."""
        return self.shape.index(BATCH)

    @property
    def sample_shape(self) -> Shape:
        """The shape of one sample, without the batch axis."""
        return self.shape[: self.batch_axis] + self.shape[self.batch_axis + 1 :]

    @property
    def stop(self) -> int:
        """Where its part of a row ends."""
        return self.start + math.prod(self.sample_shape)


def slots(inputs: Sequence[tuple[str, Shape, int]]) -> list[Slot]:
    """Places for inputs (name, shape with one -1, precision), in their order and without gaps.

    Raises `CVMError` where two have one name, or a shape has not exactly one -1.
    """
    placed: list[Slot] = []
    for name, shape, precision in inputs:
        if tuple(shape).count(BATCH) != 1 or any(dim < 1 for dim in shape if dim != BATCH):
            raise CVMError(f"input {name!r}: shape {tuple(shape)} must have one -1, the batch, and else sizes")
        placed.append(Slot(name, tuple(shape), precision, placed[-1].stop if placed else 0))
    if len({slot.name for slot in placed}) < len(placed):
        raise CVMError(f"two inputs have one name: {', '.join(slot.name for slot in placed)}")
    return placed


def packed_shape(placed: Sequence[Slot], batch: int) -> Shape:
    """The shape (batch, K) of the packed input."""
    return batch, max(slot.stop for slot in placed)


def packed_precision(placed: Sequence[Slot]) -> int:
    """The precision that the packed input needs: that of the widest."""
    return max(slot.precision for slot in placed)


def pack(placed: Sequence[Slot], values: Mapping[str, Array]) -> Array:
    """Integers of every input, each of its own shape with one batch size N, as (N, K): int8 or int32.

    Each saturates at its own precision. Raises `CVMError` where one is missing, unknown, no integers, or of another
    shape.
    """
    check_names([slot.name for slot in placed], values)
    rows = []
    for slot in placed:
        array = np.asarray(values[slot.name])
        if array.dtype.kind not in "iu":
            raise CVMError(f"input {slot.name!r} is {array.dtype}, expected integers; see quantize_input")
        fits = array.ndim == len(slot.shape)
        if not fits or any(dim not in (BATCH, given) for dim, given in zip(slot.shape, array.shape)):
            raise CVMError(f"input {slot.name!r} has shape {array.shape}, expected {slot.shape} with -1 for the batch")
        rows.append(np.moveaxis(array, slot.batch_axis, 0))
    if len({len(row) for row in rows}) > 1:
        counts = ", ".join(f"{slot.name} {len(row)}" for slot, row in zip(placed, rows))
        raise CVMError(f"the inputs hold different numbers of samples: {counts}")
    packed = np.zeros(packed_shape(placed, len(rows[0])), stored_type(packed_precision(placed)))
    for slot, row in zip(placed, rows):
        packed[:, slot.start : slot.stop] = saturate(row, slot.precision).reshape(len(row), -1)
    return packed


def unpack(placed: Sequence[Slot], packed: Array) -> dict[str, Array]:
    """Every input of a packed one, in its own shape: what `nodes` computes."""
    found = {}
    for slot in placed:
        part = saturate(packed[:, slot.start : slot.stop], slot.precision)
        found[slot.name] = np.moveaxis(part.reshape(-1, *slot.sample_shape), 0, slot.batch_axis)
    return found


def nodes(placed: Sequence[Slot]) -> tuple[list[Node], dict[str, tuple[int, int]]]:
    """The first nodes of a model of several inputs, and the entry (node, output) of each of them.

    Node 0 is the packed input; its precision and shape are `packed_precision` and `packed_shape`. Any batch runs.
    """
    found = [Node("null", INPUT)]
    entries: dict[str, tuple[int, int]] = {}
    wide = packed_precision(placed)

    def add(op: str, name: str, attrs: dict[str, str], source: tuple[int, int]) -> tuple[int, int]:
        found.append(Node(op, name, (source,), attrs))
        return len(found) - 1, 0

    for position, slot in enumerate(placed):
        label, axis, rank = f"input{position}", slot.batch_axis, len(slot.shape)
        part = {"begin": f"(0, {slot.start})", "end": f"({MAX_DIM}, {slot.stop})", "stride": "(1, 1)"}
        entry = add("strided_slice", f"{label}_slice", part, (0, 0))
        if slot.precision < wide:
            entry = add("cvm_clip", f"{label}_clip", {"precision": str(slot.precision), "is_sign": "True"}, entry)
        if rank != 2:
            entry = add("reshape", f"{label}_reshape", {"shape": str((BATCH, *slot.sample_shape))}, entry)
        if axis:
            order = (*range(1, axis + 1), 0, *range(axis + 1, rank))
            entry = add("transpose", f"{label}_transpose", {"axes": str(order)}, entry)
        entries[slot.name] = entry
    return found, entries


def check_names(expected: Sequence[str], given: Mapping[str, object]) -> None:
    """`CVMError` unless exactly the expected inputs are given."""
    for name in given:
        if name not in expected:
            raise CVMError(f"the model has no input {name!r}; it takes {', '.join(expected)}")
    missing = [name for name in expected if name not in given]
    if missing:
        raise CVMError(f"input {missing[0]!r} is missing; the model takes {', '.join(expected)}")
