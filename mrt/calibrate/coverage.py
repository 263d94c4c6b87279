"""The interval that each tensor's integers are to cover: a threshold given by the user, or its calibrator's choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from mrt.calibrate.thresholds import LEVELS, Interval, calibrator
from mrt.errors import MRTError
from mrt.graph import Graph, Value
from mrt.statistics.tensor import Statistics

_NEAR = 3


class Coverage:
    """What each tensor's integers are to cover. A tensor goes by the name of its node, prepared or the user's.

    Args:
        default: the calibrator of every tensor of which nothing else is said.
        calibrators: calibrators by name of a tensor, or by pattern (`*`, `?`, `[…]`); a whole name comes before
            patterns, and among patterns the first that fits.
        thresholds: magnitudes to represent, by name of a tensor; they come before any calibrator.
        lambda_: the number of standard deviations of the calibrator `lambda`.

    Raises:
        MRTError: there is no such calibrator.
    """

    def __init__(
        self,
        default: str = "absmax",
        calibrators: Mapping[str, str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        lambda_: float | None = None,
    ) -> None:
        self.lambda_ = lambda_
        self.calibrators = dict(calibrators or {})
        self._default = calibrator(default, lambda_)
        self._given = {pattern: calibrator(name, lambda_) for pattern, name in self.calibrators.items()}
        self._thresholds = dict(thresholds or {})

    def __call__(self, value: Value, statistics: Statistics, levels: int = LEVELS) -> Interval:
        """The range of a tensor with these statistics that is stored in so many levels."""
        names = tensor_names(value)
        for name in names:
            if name in self._thresholds:
                limit = self._thresholds[name]
                return max(statistics.minimum, -limit), min(statistics.maximum, limit)
        whole = (name for name in names if name in self._given)
        fitting = (pattern for pattern in self._given if any(fnmatchcase(name, pattern) for name in names))
        found = next(whole, None) or next(fitting, None)
        return (self._given[found] if found else self._default)(statistics, levels)

    def settled(self, value: Value) -> bool:
        """Whether something was said of this tensor in particular."""
        names = tensor_names(value)
        given = any(name == pattern or fnmatchcase(name, pattern) for name in names for pattern in self._given)
        return given or any(name in self._thresholds for name in names)

    def otherwise(self, default: str, calibrators: Mapping[str, str] | None = None) -> Coverage:
        """The same, but for the tensors of which nothing was said: they get these calibrators, or else this one."""
        given = {**(calibrators or {}), **self.calibrators}
        return Coverage(default, given, self._thresholds, self.lambda_)


def tensor_names(value: Value) -> tuple[str, ...]:
    """The names by which the configuration may call a tensor."""
    return tuple(dict.fromkeys((value.name, value.node.name, *value.node.origin)))


def check_names(graph: Graph, patterns: Iterable[str], switch: str) -> None:
    """Refuse names and patterns, those of a switch, that fit no node of the network.

    Raises:
        MRTError: one fits none; names that are near are listed.
    """
    known = {name for node in graph.nodes() for name in tensor_names(Value(node))}
    for pattern in patterns:
        if pattern not in known and not any(fnmatchcase(name, pattern) for name in known):
            raise MRTError(f"the network has no node {pattern}{near(pattern, known)}", switch=switch)


def near(name: str, known: Iterable[str]) -> str:
    """`; near: a, b` for the known names that resemble one, or nothing."""
    found = difflib.get_close_matches(name, sorted(known), _NEAR)
    return f"; near: {', '.join(found)}" if found else ""
