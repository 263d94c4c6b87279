"""The value forms of MRT's configuration files: lists, shapes, `name: value` maps, stages and levels.

Each function takes the text of an INI value, or the lists and maps that YAML makes of it (with text leaves), and raises
ValueError with what is wrong.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "attribute_map",
    "choice_map",
    "input_shape",
    "names",
    "numbers",
    "output_map",
    "shape",
    "threshold_map",
    "verbosity",
]


def names(value: Any) -> tuple[str, ...]:
    """Names split by commas, over any number of lines: `a, b,` is `("a", "b")`. A name given twice is refused."""
    found = tuple(str(item) for item in _items(value))
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"{name} is given twice")
    return found


def numbers(value: Any) -> tuple[str, ...]:
    """Numbers split by commas, brackets allowed: `0,1,2`, `[0, 1]`. Still text; the schema's type reads each one."""
    return tuple(str(item) for item in _items(value))


def shape(value: Any) -> tuple[int, ...]:
    """An input shape such as `(-1, 3, 224, 224)`: the batch axis is the one -1, every other axis is 1 or more."""
    try:
        axes = tuple(int(item) for item in _items(value))
    except ValueError:
        raise ValueError("every axis must be a whole number") from None
    if axes.count(-1) != 1:
        raise ValueError(f"exactly one axis must be -1 (the batch axis), {axes.count(-1)} are")
    if min(axis for axis in (*axes, 1) if axis != -1) < 1:
        raise ValueError("every axis but the batch axis must be 1 or more")
    return axes


def input_shape(value: Any) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """An input shape as `shape` reads it or, of several inputs, `data: (-1, 3, 224, 224), extra: (-1, 7)`."""
    if isinstance(value, Mapping):
        found = {str(name): shape(each) for name, each in value.items()}
    elif isinstance(value, str) and ":" in value:
        items = [item.strip(" ,\n\t") for item in re.split(r"(?<=[)\]])", value)]
        pairs = [item.partition(":") for item in items if item]
        found = {name.strip(): shape(each) for name, _, each in pairs}
        if len(found) < len(pairs) or not all(found):
            raise ValueError("every input needs a name of its own, such as data: (-1, 3, 224, 224), extra: (-1, 7)")
    else:
        return shape(value)
    if not found:
        raise ValueError("there is no input")
    return found


def threshold_map(value: Any) -> dict[str, Any]:
    """`node: 2.64, other: 1`, or the lists `[[node, 2.64], …]`; still text, the schema's type reads each number."""
    return _map(value, separate=lambda item: _split(item, 2, last=True))


def choice_map(value: Any) -> dict[str, Any]:
    """`node: choice, other*: choice`, or the lists `[[node, choice], …]`; the schema's type checks each choice."""
    return _map(value, separate=lambda item: _split(item, 2, last=True))


def output_map(value: Any) -> dict[str, Any]:
    """`output: base, other: None`, or the lists `[[output, base], …]`; `None` becomes None."""
    found = _map(value, separate=lambda item: _split(item, 2))
    return {key: None if name in ("None", "") else name for key, name in found.items()}


def attribute_map(value: Any) -> dict[str, dict[str, Any]]:
    """`operator: attribute: base, …`, or the lists `[[operator, [[attribute, base], …]], …]`."""
    plain = _plain(value)
    if isinstance(plain, str):
        found: dict[str, dict[str, Any]] = {}
        for item in _items(plain):
            operator, attribute, base = _split(str(item), 3)
            if attribute in found.setdefault(operator, {}):
                raise ValueError(f"{operator}: {attribute} is given twice")
            found[operator][attribute] = base
        return found
    return {operator: _map(pairs, separate=_no_text) for operator, pairs in _map(plain, separate=_no_text).items()}


def verbosity(value: Any) -> int:
    """A level of Python's logging, as its number (`20`) or its name (`info`); 0 prints everything."""
    text = str(value).strip()
    level = logging.getLevelName(text.upper()) if not text.lstrip("-").isdigit() else int(text)
    if not isinstance(level, int) or not 0 <= level <= logging.CRITICAL:
        raise ValueError("is not a logging level")
    return level


def _plain(value: Any) -> Any:
    """Return lists and maps as they are, and text without quotes around it; text that holds a JSON map as that map."""
    if not isinstance(value, str):
        return value
    text = value.strip().strip("\"'").strip() if value.strip()[:1] in ("'", '"') else value.strip()
    if text.startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"is not a map: {error.msg}") from None
    return text


def _items(value: Any) -> list[Any]:
    """Split text by commas (brackets around it and an empty last item allowed); lists pass."""
    plain = _plain(value)
    if isinstance(plain, (list, tuple)):
        return list(plain)
    if not isinstance(plain, str):
        raise ValueError("must be a list")
    if plain[:1] in ("[", "(") and plain[-1:] in ("]", ")"):
        plain = plain[1:-1]
    items = [item.strip().strip("\"'") for item in plain.split(",")]
    if items[-1] == "":
        items.pop()
    if "" in items:
        raise ValueError("has an empty item between two commas")
    return items


def _split(item: str, count: int, last: bool = False) -> list[str]:
    """Split `a: b` into exactly `count` parts; with `last`, only at the last colon (the name may hold colons)."""
    parts = [part.strip() for part in (item.rsplit(":", 1) if last else item.split(":"))]
    if len(parts) != count or "" in parts[:-1] or (last and parts[-1] == ""):
        raise ValueError(f"{item!r} is not of the form " + ": ".join(["name"] * (count - 1) + ["value"]))
    return parts


def _no_text(item: str) -> list[str]:
    raise ValueError(f"{item!r} is not a pair")


def _map(value: Any, separate: Any) -> dict[str, Any]:
    """Return the map that text (each item split by `separate`), a list of pairs or a map stands for."""
    plain = _plain(value)
    pairs: Iterable[Any]
    if isinstance(plain, dict):
        pairs = plain.items()
    else:
        pairs = [separate(item) if isinstance(item, str) else item for item in _items(plain)]
    found: dict[str, Any] = {}
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(f"{pair!r} is not a pair of a name and a value")
        if pair[0] in found:
            raise ValueError(f"{pair[0]} is given twice")
        found[pair[0]] = pair[1]
    return found
