"""Typed access to MXNet's string attributes; a malformed one is refused by node and name."""

from __future__ import annotations

import ast

from mrt.errors import MRTError
from mrt.graph.ir import Node


def refuse(node: Node, problem: str) -> MRTError:
    """The error for a node that cannot be handled, with what can be done about it."""
    return MRTError(
        f"node {node.name} ({node.op}): {problem}; leave it in float by splitting the network before it "
        "([SPLIT_MODEL] Keys)"
    )


def text(node: Node, key: str, default: str | None = None) -> str:
    """A string attribute."""
    value = node.attrs.get(key, default)
    if value is None:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key} is missing")
    return value


def _literal(node: Node, key: str, value: str) -> object:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is malformed") from None


def integer(node: Node, key: str, default: int | None = None) -> int:
    """An integer attribute."""
    value = _literal(node, key, text(node, key, None if default is None else str(default)))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is not an integer")
    return int(value)


def number(node: Node, key: str, default: float | None = None) -> float:
    """A real attribute."""
    raw = text(node, key, None if default is None else repr(default))
    try:
        return float(raw)
    except ValueError:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={raw!r} is not a number") from None


def flag(node: Node, key: str, default: bool) -> bool:
    """A boolean attribute: True / False / 1 / 0."""
    raw = text(node, key, str(default))
    if raw not in ("True", "False", "1", "0", "true", "false"):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={raw!r} is not a boolean")
    return raw in ("True", "1", "true")


def integers(node: Node, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """A tuple of integers; a lone integer is a tuple of one."""
    value = _literal(node, key, text(node, key, None if default is None else str(default)))
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(item, int) for item in items):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is not a list of integers")
    return tuple(items)


def optional_integers(node: Node, key: str) -> tuple[int | None, ...]:
    """A tuple of integers and None, as `slice` takes; absent means ()."""
    value = _literal(node, key, text(node, key, "()"))
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not all(item is None or isinstance(item, int) for item in items):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is not a list of integers")
    return tuple(items)


def pair(node: Node, key: str, default: tuple[int, int]) -> tuple[int, int]:
    """A (height, width) pair; MXNet's empty tuple means the default, one number stands for both."""
    value = integers(node, key, default) or default
    if len(value) == 1:
        value = value * 2
    if len(value) != 2:
        raise refuse(node, f"attribute {key}={value} has {len(value)} spatial axes, only 2 are supported")
    return value[0], value[1]
