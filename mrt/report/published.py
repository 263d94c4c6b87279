"""Results that somebody published, from a CSV file, to put them beside ours."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mrt.errors import MRTError


@dataclass(frozen=True)
class Published:
    """One row; accuracies in percent, times in milliseconds, None where the row has nothing.

    The names are the file's columns. A network with the same name in several tables has the row with most in it.
    """

    model: str
    table: str = ""
    iterations: float | None = None
    float_top1_or_map: float | None = None
    float_top5: float | None = None
    quantized_top1_or_map: float | None = None
    quantized_top5: float | None = None
    float_ms: float | None = None
    quantized_ms: float | None = None
    cvm_top1: float | None = None
    cvm_ms: float | None = None
    samples: float | None = None

    @property
    def integer(self) -> float | None:
        """The accuracy in integers: compiled where that was published, else quantized."""
        return self.quantized_top1_or_map if self.cvm_top1 is None else self.cvm_top1

    @property
    def lost(self) -> float | None:
        """Percentage points that the integers lost."""
        whole = (self.float_top1_or_map, self.integer)
        return None if whole[0] is None or whole[1] is None else whole[0] - whole[1]


COLUMNS = tuple(field.name for field in fields(Published))
_TEXT = ("model", "table")


def read_published(path: Path) -> dict[str, Published]:
    """The rows by `key` of the model's name.

    Raises:
        MRTError: the file is not there or not such a table; the line is named.
    """
    found: dict[str, Published] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in ("model", "float_top1_or_map") if name not in (rows.fieldnames or ())]
            if missing:
                raise MRTError(f"{path}: no column {missing[0]}; the first line must name {', '.join(COLUMNS)}")
            for row in rows:
                entry = _row(path, rows.line_num, row)
                known = found.get(key(entry.model))
                if known is None or _filled(entry) >= _filled(known):
                    found[key(entry.model)] = entry
    except OSError as error:
        raise MRTError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise MRTError(f"{path}: not a CSV file ({error})") from None
    return found


def key(name: str) -> str:
    """What two spellings of a model's name have in common: `mobilenet1_0` is `mobilenet1.0`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> Published:
    numbers: dict[str, float | None] = {}
    for name in COLUMNS:
        text = (row.get(name) or "").strip()
        if name in _TEXT:
            continue
        try:
            numbers[name] = float(text) if text else None
        except ValueError:
            raise MRTError(f"{path}, line {line}: {name}={text!r:.40} is not a number") from None
    return Published((row.get("model") or "").strip(), (row.get("table") or "").strip(), **numbers)


def _filled(entry: Published) -> int:
    return sum(getattr(entry, name) is not None for name in COLUMNS)
