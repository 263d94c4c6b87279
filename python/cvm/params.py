"""The binary parameters file (little endian, packed).

file:  u64 magic | u64 0 | u64 n | n * (u64 length, name) | u64 n | n * array
array: u64 magic | u64 0 | i32 device_type=1 | i32 device_id=0 | i32 ndim | u8 code=0 | u8 bits=8|32 | u16 lanes=1
       | i64 shape[ndim] | i64 nbytes | row-major data
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from cvm.errors import CVMError
from cvm.node import MAX_NAME
from cvm.ops.base import MAX_DIM, MAX_RANK, MAX_SIZE, Array
from cvm.reader import Reader

_FILE_MAGIC = 0xF7E58D4F05049CB7
_ARRAY_MAGIC = 0xDD5E40F096B4A13F
_CPU, _SIGNED = 1, 0
TYPES: dict[int, np.dtype[Any]] = {8: np.dtype("<i1"), 32: np.dtype("<i4")}
"""How values are stored, by their bits."""


def encode(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of a parameters file with these int8 or int32 arrays, in their order."""
    parts = [struct.pack("<QQQ", _FILE_MAGIC, 0, len(arrays))]
    for name in arrays:
        encoded = name.encode("ascii")
        parts += [struct.pack("<Q", len(encoded)), encoded]
    parts.append(struct.pack("<Q", len(arrays)))
    for value in arrays.values():
        bits = value.dtype.itemsize * 8
        header = struct.pack("<QQiiiBBH", _ARRAY_MAGIC, 0, _CPU, 0, value.ndim, _SIGNED, bits, 1)
        parts += [header, struct.pack(f"<{value.ndim}qq", *value.shape, value.nbytes)]
        parts.append(np.ascontiguousarray(value, TYPES[bits]).tobytes())
    return b"".join(parts)


def decode(content: bytes) -> dict[str, Array]:
    """The arrays of a parameters file, int8 or int32 as stored.

    Nothing is allocated on a claim that the file does not hold. `CVMError` for anything else than a whole, exact file.
    """
    reader = Reader(content)
    if reader.unpack("<Q", "the magic number")[0] != _FILE_MAGIC:
        raise CVMError("not a parameters file (wrong magic number)")
    reader.expect("<Q", 0, "the reserved word")
    (count,) = reader.unpack("<Q", "the number of names")
    if count > reader.remaining // 8:
        raise CVMError(f"{count} names are claimed, more than the file can hold")
    names = [_name(reader) for _ in range(count)]
    repeated = [name for name, uses in Counter(names).items() if uses > 1]
    if repeated:
        raise CVMError(f"parameter {repeated[0]!r} is stored twice")
    reader.expect("<Q", count, "the number of arrays")
    arrays = {name: _array(reader, name) for name in names}
    if reader.remaining:
        raise CVMError(f"{reader.remaining} bytes follow the last array")
    return arrays


def require_shape(shape: tuple[int, ...], what: str) -> None:
    """Raises `CVMError`, which names what it is of, for a shape beyond the target's limits."""
    if not all(1 <= dim <= MAX_DIM for dim in shape) or math.prod(shape) > MAX_SIZE:
        raise CVMError(f"{what}: shape {shape} is outside the limits (dimensions 1..2^24, 2^30 elements)")


def _name(reader: Reader) -> str:
    (length,) = reader.unpack("<Q", "a name")
    if not 1 <= length <= MAX_NAME:
        raise CVMError(f"a name of {length} bytes (1 to {MAX_NAME} are allowed)")
    try:
        return bytes(reader.take(length, "a name")).decode("ascii")
    except UnicodeDecodeError:
        raise CVMError("a name is not ASCII") from None


def _array(reader: Reader, name: str) -> Array:
    what = f"parameter {name!r}"
    magic, reserved, device, device_id, rank, code, bits, lanes = reader.unpack("<QQiiiBBH", what)
    if magic != _ARRAY_MAGIC or reserved != 0:
        raise CVMError(f"{what}: wrong magic number")
    if (device, device_id) != (_CPU, 0):
        raise CVMError(f"{what}: device {device}:{device_id}, expected {_CPU}:0")
    if code != _SIGNED or bits not in TYPES or lanes != 1:
        raise CVMError(f"{what}: type code {code}, {bits} bits, {lanes} lanes is neither int8 nor int32")
    if not 1 <= rank <= MAX_RANK:
        raise CVMError(f"{what}: {rank} dimensions (1 to {MAX_RANK} are allowed)")
    shape = reader.unpack(f"<{rank}q", what)
    require_shape(shape, what)
    (size,) = reader.unpack("<q", what)
    if size != math.prod(shape) * bits // 8:
        raise CVMError(f"{what}: {size} bytes are claimed for shape {shape} of {bits} bits")
    values: Array = np.frombuffer(reader.take(size, what), TYPES[bits])
    return values.reshape(shape)
