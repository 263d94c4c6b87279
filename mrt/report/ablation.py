"""The report of `mrt ablate`: what each switch of quantization gains, as JSON and as a table."""

import json
import math
from pathlib import Path
from typing import Any, Optional

from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

from mrt.atomic import atomic_write

__all__ = ["Ablation", "Outcome"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Outcome(_Part):
    """What the compiled network does with one setting.

    Attributes:
        setting: how it differs from the configuration; the first is "as configured".
        score: the dataset's primary metric, 0 to 1.
        agreement: part of the samples with the float network's top-1 class, 0 to 1; None without classes.
        sqnr_db: signal to quantization noise of the first output.
    """

    setting: str
    score: float
    agreement: Optional[float]
    sqnr_db: Optional[float]


class Ablation(_Part):
    """One network with one setting changed at a time, on the same pictures.

    Attributes:
        metric: what `score` is.
        float_score: that of the float network.
    """

    model: str
    dataset: str
    pictures: int
    metric: str
    float_score: float
    outcomes: list[Outcome]
    configuration: dict[str, Any] = {}

    def json_text(self) -> str:
        """Return the report as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"

    def markdown(self) -> str:
        """Return the report as a Markdown section."""
        first = self.outcomes[0]
        rows = [
            (
                outcome.setting,
                _percent(outcome.score),
                _percent(outcome.agreement),
                _decibels(outcome.sqnr_db),
                _gain(first.score, outcome.score, 100, 2) if outcome is not first else "",
                _gain(first.agreement, outcome.agreement, 100, 2) if outcome is not first else "",
                _gain(first.sqnr_db, outcome.sqnr_db, 1, 1) if outcome is not first else "",
            )
            for outcome in self.outcomes
        ]
        headers = ("setting", self.metric, "agreement", "SQNR (dB)", f"{self.metric} points", "agreement points", "dB")
        table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
        return (
            f"## {self.model}\n\n{self.pictures} pictures of {self.dataset}; {self.metric} of the float network: "
            f"{self.float_score:.2%}. The last three columns say what the configuration gains over the setting.\n\n"
            f"{table}\n"
        )

    def write(self, folder: Path) -> list[Path]:
        """Write `<folder>/<model>.ablation.json` and `.md`, each whole or not at all; return their paths."""
        base = f"{self.model}.ablation"
        return [
            atomic_write(folder / f"{base}.json", self.json_text()),
            atomic_write(folder / f"{base}.md", self.markdown()),
        ]


def _percent(part: Optional[float]) -> str:
    return "-" if part is None else f"{part:.2%}"


def _decibels(value: Optional[float]) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.1f}"


def _gain(mine: Optional[float], other: Optional[float], factor: float, digits: int) -> str:
    return "-" if mine is None or other is None else f"{factor * (mine - other):+.{digits}f}"
