"""Typed access to MXNet's string attributes; a malformed one is refused by node and name."""

from __future__ import annotations

import ast
import math

from mrt.errors import MRTError, Remedy
from mrt.graph.ir import Node


def refuse(node: Node, problem: str) -> MRTError:
    """The error for a node that cannot be handled; it can be left in float."""
    return MRTError(f"node {node.name} ({node.op}): {problem}", Remedy.LEAVE_IN_FLOAT)


def text(node: Node, key: str, default: str | None = None) -> str:
    """A string attribute."""
    value = node.attrs.get(key, default)
    if value is None:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key} is missing")
    return value


def _literal(node: Node, key: str, value: str) -> object:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is malformed") from None


def integer(node: Node, key: str, default: int | None = None) -> int:
    """An integer attribute."""
    value = _literal(node, key, text(node, key, None if default is None else str(default)))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value % 1 != 0:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is not an integer")
    return int(value)


def positive(node: Node, key: str, default: int | None = None) -> int:
    """An integer attribute above 0."""
    value = integer(node, key, default)
    if value < 1:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value} must be above 0")
    return value


def axis_of(node: Node, key: str, rank: int, default: int | None = None) -> int:
    """An integer attribute that names one of `rank` axes, counted from 0; negative ones count from the end."""
    return _axis(node, key, integer(node, key, default), rank)


def axes_of(node: Node, key: str, rank: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """As `axis_of`, for a tuple of axes."""
    return tuple(_axis(node, key, axis, rank) for axis in integers(node, key, default))


def _axis(node: Node, key: str, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={axis} is none of the tensor's {rank} axes")
    return axis % rank


def number(node: Node, key: str, default: float | None = None) -> float:
    """A real attribute."""
    raw = text(node, key, None if default is None else repr(default))
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={raw!r} is not a number")
    return value


def flag(node: Node, key: str, default: bool) -> bool:
    """A boolean attribute: True / False / 1 / 0."""
    raw = text(node, key, str(default))
    if raw not in ("True", "False", "1", "0", "true", "false"):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={raw!r} is not a boolean")
    return raw in ("True", "1", "true")


def _whole(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def integers(node: Node, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """A tuple of integers; a lone integer is a tuple of one."""
    value = _literal(node, key, text(node, key, None if default is None else str(default)))
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not all(_whole(item) for item in items):
        raise MRTError(f"node {node.name} ({node.op}): attribute {key}={value!r} is not a list of integers")
    return tuple(items)


def optional_integers(node: Node, key: str) -> tuple[int | None, ...]:
    """A tuple of integers and None, as `slice` takes; absent means ()."""
    value = _literal(node, key, text(node, key, "()"))
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not all(item is None or _whole(item) for item in items):
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
