"""The report of `Precision=auto`: which layers were given more bits, and what that gained."""

from typing import Optional

from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

from mrt.report.sensitivity import Effect

__all__ = ["PrecisionGain", "WiderLayer"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class WiderLayer(_Part):
    """A layer that takes 16 bits of its `input`, of its `weights`, or of both.

    Attributes:
        removes: the part of the network's noise that this was expected to remove.
        costs: the multiply-accumulates that it adds, as a part of the network's own.
    """

    name: str
    input: bool = False
    weights: bool = False
    removes: float = 0.0
    costs: float = 0.0


class PrecisionGain(_Part):
    """What the extra bits gained.

    Attributes:
        pictures: of the calibration's, on which all of this was measured.
        layers: those with extra bits, the ones that gain most for their cost first.
        before: the integer network without extra bits; `after`, with them.
        target_db: the signal-to-noise ratio asked for; None: as much as the budget allows.
    """

    pictures: int
    layers: list[WiderLayer] = []
    before: Effect
    after: Effect
    target_db: Optional[float] = None

    def markdown(self) -> str:
        """One line for the network and a table of the layers."""

        def effect(found: Effect) -> str:
            agreement = "" if found.agreement is None else f", agreement {found.agreement:.2%}"
            return f"SQNR {found.sqnr_db:.1f} dB{agreement}"

        costs = sum(layer.costs for layer in self.layers)
        text = (
            f"Precision=auto on {self.pictures} calibration pictures: {effect(self.before)} -> {effect(self.after)}, "
            f"{costs:.1%} more multiply-accumulates\n"
        )
        rows = [
            (
                layer.name,
                " and ".join(["input"] * layer.input + ["weights"] * layer.weights),
                f"{layer.removes:.1%}",
                f"{layer.costs:.1%}",
            )
            for layer in self.layers
        ]
        headers = ("layers with 16 bits", "of their", "noise removed", "work added")
        return text + (f"\n{tabulate(rows, headers=headers, tablefmt='github')}\n" if rows else "")
