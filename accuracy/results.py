"""What a run of `make accuracy` found, and its file form."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from accuracy.statistics import Estimate


@dataclass(frozen=True)
class Setting:
    """One setting of an engine's quantization tool.

    Attributes:
        top1: accuracy, 0 to 1.
        agreement: share of the pictures, 0 to 1, on which it puts the same class first as the float network.
        sqnr: of the logits, in dB.
        failure: why it gave nothing; the others are None then.
    """

    top1: float | None = None
    agreement: float | None = None
    sqnr: float | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Gain:
    """How far ours is ahead of an engine on the same pictures; negative where it is behind.

    Attributes:
        agreement: with the float network, over the engine's at its setting with the highest, -1 to 1.
        clearest: the engine's setting with the highest SQNR.
        sqnr: over the engine's at that setting, in dB.
    """

    agreement: Estimate
    clearest: str
    sqnr: Estimate


@dataclass(frozen=True)
class Engine:
    """An engine at its best setting.

    Attributes:
        best: the setting with the highest agreement (of several, that with the highest SQNR).
        top1: accuracy, 0 to 1.
        lost: top-1 of the float network less this one, -1 to 1.
        agreement: as in `Setting`.
        sqnr: likewise.
        gain: of ours over it; None for ours.
        settings: all that were tried, by name.
    """

    best: str
    top1: float
    lost: Estimate
    agreement: Estimate
    sqnr: Estimate
    gain: Gain | None
    settings: dict[str, Setting]


@dataclass(frozen=True)
class Network:
    """All engines on one network.

    Attributes:
        name: in the zoo.
        dataset: what it is evaluated on.
        calibrated: pictures that every engine calibrated on.
        pictures: that every engine was evaluated on.
        top1: accuracy of the float network, 0 to 1.
        compared: pictures that both the integer graph on MXNet and the compiled model were run on.
        mismatches: those of them on which the two gave different integers.
        engines: by name; ours is among them.
        failures: why an engine gave nothing at any setting, by name.
    """

    name: str
    dataset: str
    calibrated: int
    pictures: int
    top1: float
    compared: int
    mismatches: int
    engines: dict[str, Engine]
    failures: dict[str, str]


@dataclass(frozen=True)
class Results:
    """Everything, as `docs/accuracy.json` holds it.

    Attributes:
        date: of the run.
        processor: its name; the peers' kernels, and so their results, depend on it.
        versions: of the engines.
        networks: what was measured.
        left_out: why a network was not measured, by name.
    """

    date: str
    processor: str
    versions: dict[str, str]
    networks: list[Network]
    left_out: dict[str, str]

    def to_json(self) -> str:
        """As JSON; an estimate is [value, low, high]."""
        raw = dataclasses.asdict(self, dict_factory=_compact)
        return json.dumps(raw, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Results:
        """The inverse of `to_json`."""
        raw: dict[str, Any] = json.loads(text)
        return Results(**{**raw, "networks": [_network(item) for item in raw["networks"]]})


def _compact(items: list[tuple[str, Any]]) -> Any:
    found = dict(items)
    return [found["value"], found["low"], found["high"]] if found.keys() == {"value", "low", "high"} else found


def _network(raw: dict[str, Any]) -> Network:
    return Network(**{**raw, "engines": {name: _engine(item) for name, item in raw["engines"].items()}})


def _engine(raw: dict[str, Any]) -> Engine:
    estimates = {key: Estimate(*raw[key]) for key in ("lost", "agreement", "sqnr")}
    gain = _gain(raw["gain"]) if raw["gain"] else None
    settings = {name: Setting(**item) for name, item in raw["settings"].items()}
    return Engine(**{**raw, **estimates, "gain": gain, "settings": settings})


def _gain(raw: dict[str, Any]) -> Gain:
    return Gain(Estimate(*raw["agreement"]), raw["clearest"], Estimate(*raw["sqnr"]))
