"""Which stages of a list run, and which are read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from mrt.config import Start
from mrt.report import Progress
from mrt.run.stage import Made, Product, Products, Stage, run_stages

A: Product[str] = Product("a")
B: Product[str] = Product("b")
C: Product[str] = Product("c")
D: Product[str] = Product("d")


@dataclass
class Memory:
    after: Start
    held: dict[Product[Any], Any] = field(default_factory=dict)

    def precedes(self, start: Start) -> bool:
        return self.after <= start

    def save(self, made: Made) -> None:
        self.held.update(made)

    def load(self) -> Made:
        return self.held


class Join(Stage):
    """Gives the names of all that it takes, joined."""

    def __init__(self, log: list[str], gives: Product[str], takes: Sequence[Product[str]], kept: Memory | None) -> None:
        self.gives, self.takes, self.checkpoint = [gives], takes, kept
        self._log = log

    def run(self, have: Products, progress: Progress) -> Made:
        self._log.append(self.gives[0].name)
        assert all(product in have for product in self.takes)
        return {self.gives[0]: f"{self.gives[0].name}({' '.join(have[product] for product in self.takes)})"}


def stages(log: list[str], kept: Memory | None = None) -> list[Stage]:
    return [Join(log, A, [], None), Join(log, B, [A], kept), Join(log, C, [B], None), Join(log, D, [A], None)]


def made(wanted: list[Product[str]], **options: Any) -> tuple[list[str], list[str]]:
    log: list[str] = []
    have = run_stages(stages(log, options.pop("kept", None)), wanted, Progress(Console(quiet=True)), **options)
    return log, [have[product] for product in wanted]


def test_only_what_is_needed_runs() -> None:
    assert made([C]) == (["a", "b", "c"], ["c(b(a()))"])
    assert made([D]) == (["a", "d"], ["d(a())"])


def test_what_is_given_is_not_made() -> None:
    assert made([C], given={B: "mine"}) == (["c"], ["c(mine)"])


def test_a_run_resumes_after_its_checkpoint_and_makes_what_later_stages_need() -> None:
    kept = Memory(Start.PREPARE)
    made([C], kept=kept)
    assert made([C], kept=kept, start=Start.CALIBRATION) == (["c"], ["c(b(a()))"])
    assert made([C, D], kept=kept, start=Start.PREPARE) == (["a", "c", "d"], ["c(b(a()))", "d(a())"])
    assert made([C], kept=kept, start=Start.DEFAULT) == (["a", "b", "c"], ["c(b(a()))"])


def test_what_nobody_takes_any_more_is_let_go_of() -> None:
    have = run_stages(stages([]), [C], Progress(Console(quiet=True)))
    assert C in have and A not in have and B not in have


def test_something_that_no_stage_gives() -> None:
    with pytest.raises(LookupError, match="no stage gives e"):
        made([Product("e")])
