"""Writes seeds for the fuzz target from model directories: seeds.py CORPUS MODEL_DIR..."""

from __future__ import annotations

import struct
import sys
from pathlib import Path


def main(corpus: Path, models: list[Path]) -> None:
    """One seed per model: the length of its symbol, the symbol, the params."""
    corpus.mkdir(parents=True, exist_ok=True)
    for i, model in enumerate(models):
        symbol, params = (model / "symbol").read_bytes(), (model / "params").read_bytes()
        (corpus / f"seed{i}").write_bytes(struct.pack("<I", len(symbol)) + symbol + params)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
