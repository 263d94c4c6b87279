"""Typed operator attributes out of the format's strings.

An operator declares a frozen dataclass whose annotations are the grammar: ``int``, ``int | None``, ``bool``, ``str``
and ``tuple[int, ...]``; a field without a default is required. `parse_attributes` refuses everything else. Numbers may
stand between spaces, a number alone is a tuple of one, and booleans may have any case.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any, Callable, TypeVar

from cvm.errors import CVMError

A = TypeVar("A")
MAX_INT = 2**31 - 1
_SPACE = " \t\n\r"


def require(condition: bool, message: str) -> None:
    """Raise `CVMError(message)` unless `condition` holds."""
    if not condition:
        raise CVMError(message)


def _int(text: str) -> int:
    text = text.strip(_SPACE)
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", text):
        raise CVMError("expected an integer")
    value = int(text)
    require(abs(value) <= MAX_INT, "integer out of the 32-bit range")
    return value


def _optional_int(text: str) -> int | None:
    return None if text == "None" else _int(text)


def _bool(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if not text.isascii() or text.lower() not in values:
        raise CVMError("expected True, False, 1 or 0")
    return values[text.lower()]


def _ints(text: str) -> tuple[int, ...]:
    text = text.strip(_SPACE)
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return (_int(text),)
    if len(text) < 2 or text[0] + text[-1] not in ("()", "[]"):
        raise CVMError("expected a tuple such as (1, 1)")
    body = text[1:-1].strip(_SPACE)
    if not body:
        return ()
    if body.endswith(","):
        body = body[:-1]
    return tuple(_int(item) for item in body.split(","))


_PARSERS: dict[str, Callable[[str], Any]] = {
    "int": _int,
    "int | None": _optional_int,
    "bool": _bool,
    "str": str,
    "tuple[int, ...]": _ints,
}


@functools.lru_cache(maxsize=4096)
def _parse(kind: Callable[..., Any], items: tuple[tuple[str, str], ...]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, text in items:
        if key not in fields:
            allowed = ", ".join(fields) if fields else "none"
            raise CVMError(f"unknown attribute {key!r} (allowed: {allowed})")
        try:
            values[key] = _PARSERS[str(fields[key].type)](text)
        except CVMError as error:
            raise CVMError(f"attribute {key}={text[:80]!r}: {error}") from None
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        require(not required or name in values, f"attribute {name!r} is missing")
    return kind(**values)


def parse_attributes(kind: type[A], attrs: Mapping[str, str]) -> A:
    """An instance of the dataclass `kind` from string attributes; `CVMError` for unknown, missing or malformed ones."""
    for key, value in attrs.items():
        require(isinstance(key, str) and isinstance(value, str), f"attribute {key!r}: expected a string")
    make: Callable[..., A] = kind
    parsed: A = _parse(make, tuple(sorted(attrs.items())))
    return parsed


@dataclasses.dataclass(frozen=True)
class NoAttributes:
    """The attributes of an operator that takes none."""


def within(name: str, values: tuple[int, ...] | int, low: int, high: int) -> None:
    """Require every value of attribute `name` to lie in [low, high]."""
    for value in values if isinstance(values, tuple) else (values,):
        require(low <= value <= high, f"attribute {name}: {value} is outside [{low}, {high}]")


def axis_of(name: str, axis: int, rank: int) -> int:
    """`axis` as a non-negative index below `rank`; negative values count from the end."""
    within(name, axis, -rank, rank - 1)
    return axis + rank if axis < 0 else axis
