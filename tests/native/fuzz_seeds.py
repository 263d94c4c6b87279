"""Writes what `make fuzz-native` begins with: fuzz_seeds.py FOLDER [COUNT] makes FOLDER/seeds and FOLDER/words."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import cvm_fuzz
import numpy as np
from cvm import format, ops


def seed(number: int) -> bytes:
    """As load.cpp reads it: the length of the symbol, the symbol, the params; of every second one a mutant."""
    rng = np.random.default_rng([7, number])
    files = format.encode(cvm_fuzz.seed_model(rng))
    symbol, params = cvm_fuzz.mutate(files, rng) if number % 2 else files
    return struct.pack("<I", len(symbol)) + symbol + params


def words() -> list[str]:
    """What libFuzzer may put in: operators, attributes, and how their values may be spelled."""
    return sorted({*ops.names(), *cvm_fuzz.KEYS, *filter(str.isprintable, cvm_fuzz.SPELLINGS)} - {""})


def main(folder: Path, count: int = 400) -> None:
    """Write `count` seeds and the words."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (seeds / f"seed{number}").write_bytes(seed(number))
    quoted = ["".join(f"\\x{byte:02x}" for byte in word.encode()) for word in words()]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in quoted), encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
