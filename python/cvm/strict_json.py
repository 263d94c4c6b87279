"""JSON as the model format allows it (whole numbers, no key twice, bounded size), as the native reader does."""

from __future__ import annotations

import json
from typing import Any

from cvm.errors import CVMError

MAX_BYTES = 2**26
MAX_MARKS = 2**23
"""Most commas and opening brackets of a document: a bound of its values, and so of the memory that they take."""
MAX_DIGITS = 18


def parse(content: bytes, what: str) -> Any:
    """The value of a JSON document in UTF-8; `CVMError` beginning with `what` for anything else.

    Keys and strings may still hold lone surrogates: read strings with `string`.
    """
    if len(content) > MAX_BYTES:
        raise CVMError(f"{what} has {len(content)} bytes, more than {MAX_BYTES}")
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MAX_MARKS:
        raise CVMError(f"{what} holds more than {MAX_MARKS} values")
    try:
        return _DECODER.decode(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CVMError(f"{what} is not valid JSON ({str(error)[:80]})") from None


def string(raw: Any, what: str) -> str:
    """A string that is text: `CVMError` for another type, or a surrogate without its pair."""
    if not isinstance(raw, str):
        raise CVMError(f"{what} must be a string")
    if not raw.isascii():
        try:
            raw.encode("utf-8")
        except UnicodeEncodeError:
            raise CVMError(f"{what} holds a lone surrogate") from None
    return raw


def strings(raw: Any, what: str) -> dict[str, str]:
    """An object whose values are strings."""
    if not isinstance(raw, dict):
        raise CVMError(f"{what} must be an object")
    return {string(key, what): string(value, f"{what}: {key[:40]!r}") for key, value in raw.items()}


def integers(raw: Any, what: str) -> list[int]:
    """A list of whole numbers."""
    if not isinstance(raw, list) or not all(type(value) is int for value in raw):
        raise CVMError(f"{what}: expected a list of integers")
    return raw


def items(raw: Any, what: str) -> list[Any]:
    """A list."""
    if not isinstance(raw, list):
        raise CVMError(f"{what} must be a list")
    return raw


def fields(raw: Any, required: tuple[str, ...], optional: tuple[str, ...], what: str) -> dict[str, Any]:
    """An object with all required keys and no unknown ones."""
    if not isinstance(raw, dict):
        raise CVMError(f"{what} must be an object")
    for key in required:
        if key not in raw:
            raise CVMError(f"{what}: {key!r} is missing")
    for key in raw:
        if key not in required and key not in optional:
            raise CVMError(f"{what}: unknown key {key[:40]!r}")
    return raw


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _integer(text: str) -> int:
    if len(text) - text.startswith("-") > MAX_DIGITS:
        raise ValueError(f"{text[:20]}.. has more than {MAX_DIGITS} digits")
    return int(text)


def _no_float(text: str) -> Any:
    raise ValueError(f"{text[:20]} is not an integer")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float
)
