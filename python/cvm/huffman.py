"""`params.huf`: the parameters file, coded without loss in as few bytes as its values need.

file:   magic "CVMHUF" 0 1 | u32 n | n * array
array:  u16 length, name | u8 bits=8|32 | u8 ndim | u32 shape[ndim] | u8 coding | content
coding: 0 the row-major data | 1 stream of the values | 2 stream of gaps, stream of the values other than 0
stream: u32 count | u32 n | n symbols (i8 or i32 as the array; u8 for gaps) | n * u8 code length
        | u16 bytes of each block | blocks

A gap is the number of zeros before a value; 255 are 255 zeros before no value. A block holds the codes of 4,096
symbols, the highest bit first, in whole bytes. Codes are canonical Huffman codes (Huffman 1952; Schwartz and Kallick
1964) of 1 to 16 bits. Weights that share few values and are mostly zero (Han, Mao and Dally, Deep compression, 2016)
become a small part of what they were. Little endian.
"""

from __future__ import annotations

import heapq
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvm.errors import CVMError, LimitError
from cvm.node import MAX_NAME
from cvm.ops.base import MAX_RANK, Array
from cvm.params import TYPES, require_shape
from cvm.reader import Reader

__all__ = ["decode", "encode"]

_MAGIC = b"CVMHUF\0\1"
_BLOCK = 4096
_LONGEST = 16
_SKIP = 255
_RAW, _VALUES, _GAPS = range(3)
_GAP = np.dtype("u1")


def encode(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of a coded parameters file with these int8 or int32 arrays, in their order."""
    parts = [_MAGIC, struct.pack("<I", len(arrays))]
    for name, array in arrays.items():
        encoded = name.encode("ascii")
        bits = array.dtype.itemsize * 8
        parts += [struct.pack("<H", len(encoded)), encoded]
        parts.append(struct.pack(f"<BB{array.ndim}I", bits, array.ndim, *array.shape))
        parts.append(min(_codings(np.ascontiguousarray(array, TYPES[bits]).reshape(-1)), key=len))
    return b"".join(parts)


def decode(content: bytes, limit: int = 2**32) -> dict[str, Array]:
    """The arrays of a coded parameters file, int8 or int32 as stored.

    `CVMError` for anything else than a whole, exact file, `LimitError` for arrays of more than `limit` bytes in all.
    """
    reader = Reader(content)
    if bytes(reader.take(len(_MAGIC), "the magic number")) != _MAGIC:
        raise CVMError("not a coded parameters file (wrong magic number)")
    (count,) = reader.unpack("<I", "the number of arrays")
    arrays: dict[str, Array] = {}
    for _ in range(count):
        (length,) = reader.unpack("<H", "a name")
        name = bytes(reader.take(length, "a name"))
        if not 1 <= length <= MAX_NAME or not name.isascii():
            raise CVMError(f"a name is not 1 to {MAX_NAME} ASCII characters")
        if name.decode() in arrays:
            raise CVMError(f"parameter {name.decode()!r} is stored twice")
        array = _array(reader, f"parameter {name.decode()!r}", limit)
        limit -= array.nbytes
        arrays[name.decode()] = array
    if reader.remaining:
        raise CVMError(f"{reader.remaining} bytes follow the last array")
    return arrays


def _array(reader: Reader, what: str, limit: int) -> Array:
    bits, rank = reader.unpack("<BB", what)
    if bits not in TYPES or not 1 <= rank <= MAX_RANK:
        raise CVMError(f"{what}: {bits} bits in {rank} dimensions is neither int8 nor int32 in 1 to {MAX_RANK}")
    shape = reader.unpack(f"<{rank}I", what)
    size = math.prod(shape)
    require_shape(shape, what)
    if size * bits // 8 > limit:
        raise LimitError(f"{what}: {size * bits // 8} bytes are more than the memory that is allowed")
    (coding,) = reader.unpack("<B", what)
    dtype = TYPES[bits]
    if coding == _RAW:
        values = _values(reader, dtype, size, what)
    elif coding == _VALUES:
        values = _read_stream(reader, dtype, size, what)
    elif coding == _GAPS:
        values = _spread(_read_stream(reader, _GAP, size, what), _read_stream(reader, dtype, size, what), size, what)
    else:
        raise CVMError(f"{what}: there is no coding {coding}")
    if len(values) != size:
        raise CVMError(f"{what}: {len(values)} values are stored for shape {shape}")
    return values.reshape(shape)


def _values(reader: Reader, dtype: np.dtype[Any], count: int, what: str) -> Array:
    return np.frombuffer(reader.take(dtype.itemsize * count, what), dtype)


def _codings(values: Array) -> list[bytes]:
    """The content of an array in each coding, with the coding's number."""
    found = [bytes([_RAW]) + values.tobytes()]
    stream = _write_stream(values)
    if stream is not None:
        found.append(bytes([_VALUES]) + stream)
    places = np.flatnonzero(values)
    if 2 * len(places) < len(values):
        between = np.diff(places, prepend=-1) - 1
        skips = between // _SKIP
        gaps = np.full(len(places) + int(skips.sum()), _SKIP, _GAP)
        gaps[np.cumsum(skips + 1) - 1] = between % _SKIP
        both = [_write_stream(gaps), _write_stream(values[places])]
        if both[0] is not None and both[1] is not None:
            found.append(bytes([_GAPS]) + both[0] + both[1])
    return found


def _spread(gaps: Array, values: Array, size: int, what: str) -> Array:
    """The values with their zeros."""
    wide = gaps.astype(np.int64)
    ends = np.cumsum(wide + (gaps != _SKIP)) - 1
    places = ends[gaps != _SKIP]
    if len(places) != len(values) or (len(ends) and int(ends[-1]) >= size):
        raise CVMError(f"{what}: its gaps don't fit its {len(values)} values")
    spread: Array = np.zeros(size, values.dtype)
    spread[places] = values
    return spread


@dataclass
class _Code:
    """Canonical codes: symbols in the order of their lengths, then their values; codes count up."""

    symbols: Array
    lengths: Array

    def __post_init__(self) -> None:
        self.widths = np.left_shift(1, _LONGEST - self.lengths.astype(np.int64))  # of 16 bits, those that begin so
        self.order = np.lexsort((self.symbols, self.lengths))

    def codes(self) -> Array:
        """The code of each symbol, its highest bit at bit 15."""
        codes: Array = np.empty(len(self.order), np.int64)
        codes[self.order] = np.cumsum(self.widths[self.order]) - self.widths[self.order]
        return codes

    def windows(self) -> tuple[Array, Array]:
        """For all sequences of 16 bits, the symbol that it begins with, and the length of that."""
        widths = self.widths if len(self.widths) > 1 else self.widths * 2  # one code of one bit: no other is used
        widths = widths[self.order]
        return np.repeat(self.symbols[self.order], widths), np.repeat(self.lengths[self.order], widths)


def _write_stream(values: Array) -> bytes | None:
    """The stream, or None where there are more symbols than codes."""
    symbols, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(symbols) > 2**12:
        return None
    code = _Code(symbols, _lengths(counts))
    codes = code.codes()
    blocks = []
    for start in range(0, len(values), _BLOCK):
        part = inverse[start : start + _BLOCK]
        bits = np.unpackbits(codes[part].astype(">u2").view(np.uint8)).reshape(-1, _LONGEST)
        blocks.append(np.packbits(bits[np.arange(_LONGEST) < code.lengths[part, None]]).tobytes())
    sizes = np.array([len(block) for block in blocks], "<u2")
    head = struct.pack("<II", len(values), len(symbols))
    return b"".join([head, symbols.tobytes(), code.lengths.tobytes(), sizes.tobytes(), *blocks])


def _lengths(counts: Array) -> Array:
    """The lengths of Huffman codes for symbols of these counts, which are halved until no code is too long."""
    if len(counts) == 1:
        return np.ones(1, np.uint8)
    while True:
        heap = [(int(count), number, [number]) for number, count in enumerate(counts)]
        lengths = np.zeros(len(counts), np.int64)
        heapq.heapify(heap)
        while len(heap) > 1:
            (first, _, left), (second, tie, right) = heapq.heappop(heap), heapq.heappop(heap)
            merged = left + right
            lengths[merged] += 1
            heapq.heappush(heap, (first + second, tie, merged))
        if lengths.max(initial=0) <= _LONGEST:
            return lengths.astype(np.uint8)
        counts = (counts + 1) // 2


def _read_stream(reader: Reader, dtype: np.dtype[Any], most: int, what: str) -> Array:
    count, different = reader.unpack("<II", what)
    if count > most or different > min(count, 2**12):
        raise CVMError(f"{what}: {count} symbols of {different} values are claimed for {most} elements")
    symbols, lengths = _values(reader, dtype, different, what), _values(reader, _GAP, different, what)
    if different and not 1 <= int(lengths.min()) <= int(lengths.max()) <= _LONGEST:
        raise CVMError(f"{what}: its codes are not of 1 to {_LONGEST} bits")
    code = _Code(symbols, lengths)
    if not _complete(code):
        raise CVMError(f"{what}: its codes are no Huffman codes")
    sizes = _values(reader, np.dtype("<u2"), -(-count // _BLOCK), what).astype(np.int64)
    ends = np.cumsum(sizes)
    payload = _values(reader, _GAP, int(sizes.sum()), what)
    found = np.empty((len(sizes), _BLOCK), dtype)
    names, steps = code.windows()
    padded = np.concatenate([payload, np.zeros(3, np.uint8)]).astype(np.uint32)
    at = 8 * (ends - sizes)
    full = len(sizes) - 1 if count % _BLOCK else len(sizes)
    for number in range(min(_BLOCK, count)):
        rows = len(sizes) if number < count % _BLOCK or full == len(sizes) else full
        byte = np.minimum(at[:rows] >> 3, len(payload))
        window = (padded[byte] << 16) | (padded[byte + 1] << 8) | padded[byte + 2]
        window = (window >> (8 - (at[:rows] & 7)).astype(np.uint32)) & 0xFFFF
        found[:rows, number] = names[window]
        at[:rows] += steps[window]
    if ((at + 7) >> 3 != ends).any():
        raise CVMError(f"{what}: a block does not end where its codes do")
    return found.reshape(-1)[:count]


def _complete(code: _Code) -> bool:
    """Whether the symbols are different, and every sequence of bits begins with the code of one."""
    if len(code.lengths) < 2:
        return bool((code.lengths == 1).all())
    rising = bool((np.diff(code.symbols.astype(np.int64)) > 0).all())
    return rising and int(code.widths.sum()) == 1 << _LONGEST
