"""Plugin of pytest: every model that a test runs by `cvm.formal` becomes a case for other machines.

`pytest -p everywhere_record tests/native --cases FILE` writes name, model, input and the formal executor's outputs
in the form that `python/cvm/native/check/cases.cpp` reads. A case that occurs twice is written once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from cvm import Model, formal, format
from cvm.errors import CVMError

LARGEST = 1 << 26  # bytes of a model or a tensor that a case may have


class Recorder:
    """Writes cases one after another.

    Args:
        file: open for writing bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._seen: set[bytes] = set()
        self.counts: Counter[str] = Counter()  # by the part of the name before "::"

    def add(self, name: str, model: Model, x: np.ndarray, outputs: list[np.ndarray]) -> None:
        """Write one case, unless it was there or is too large."""
        symbol, params = format.encode(model)
        limit = 2 ** (model.precisions["data"] - 1) - 1
        values = np.clip(x, -limit, limit).astype("<i4")
        if max(len(params), values.nbytes, *(4 * y.size for y in outputs)) > LARGEST:
            return
        body = b"".join(struct.pack("<q", len(part)) + part for part in (symbol, params))
        body += struct.pack("<qq", len(values), values.size) + values.tobytes() + struct.pack("<q", len(outputs))
        for y in outputs:
            body += struct.pack("<q", y.size) + y.astype("<i4").tobytes()
        digest = hashlib.sha256(body).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        self.counts[name.split("::")[0]] += 1
        self.file.write(struct.pack("<q", len(name.encode())) + name.encode() + body)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=Path, required=True, help="the file to write")


def pytest_configure(config: pytest.Config) -> None:
    path: Path = config.getoption("--cases")
    path.parent.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(path.open("wb"))
    run = formal.run

    @functools.wraps(run)
    def recorded(model: Model, x: np.ndarray, *args: Any, **more: Any) -> list[np.ndarray]:
        outputs = run(model, x, *args, **more)
        name = os.environ.get("PYTEST_CURRENT_TEST", "").split("/")[-1].rsplit(" ", 1)[0]
        with contextlib.suppress(CVMError):  # a model that no file can hold
            recorder.add(name, model, np.asarray(x), outputs)
        return outputs

    formal.run = recorded
    config.stash[_KEY] = recorder


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    recorder = config.stash[_KEY]
    recorder.file.close()
    for part, count in sorted(recorder.counts.items()):
        terminalreporter.write_line(f"{count} cases from {part}")


_KEY = pytest.StashKey[Recorder]()
