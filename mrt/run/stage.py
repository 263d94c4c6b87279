"""Stages: what each takes, what it gives, where it leaves that; and what runs a list of them.

Only what is wanted in the end decides which stages run: from the last stage back, one is left out where nothing needs
what it gives, and one whose checkpoint the run starts after is read back instead of run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from mrt import memory
from mrt.config import Start
from mrt.report import Progress

T = TypeVar("T")


@dataclass(frozen=True)
class Product(Generic[T]):
    """The name of something that a stage gives and others take, with its type."""

    name: str


class Products:
    """What stages have given so far, by product."""

    def __init__(self, given: Mapping[Product[Any], Any] | None = None) -> None:
        """Start with what is there already."""
        self._held: dict[Product[Any], Any] = dict(given or {})

    def __getitem__(self, product: Product[T]) -> T:
        """What stands for the product; KeyError where no stage gave it."""
        value: T = self._held[product]
        return value

    def __contains__(self, product: Product[Any]) -> bool:
        """Whether a stage gave it."""
        return product in self._held

    def update(self, made: Mapping[Product[Any], Any]) -> None:
        """Add what a stage gives."""
        self._held.update(made)

    def keep(self, needed: Iterable[Product[Any]]) -> None:
        """Let go of everything else."""
        wanted = set(needed)
        self._held = {product: value for product, value in self._held.items() if product in wanted}


Made = Mapping[Product[Any], Any]


class Checkpoint(Protocol):
    """Where a stage leaves what it gives, and reads it back."""

    def precedes(self, start: Start) -> bool:
        """Whether a run that starts after `start` reads it back."""

    def save(self, made: Made) -> None:
        """Write what the stage gave."""

    def load(self) -> Made:
        """Read it back, or raise MRTError: it is missing, damaged, or made from something else."""


class Stage(ABC):
    """One step of a run.

    Attributes:
        takes: what it reads.
        gives: what it makes.
        checkpoint: where that is left; None where it is not kept.
    """

    takes: Sequence[Product[Any]] = ()
    gives: Sequence[Product[Any]] = ()
    checkpoint: Checkpoint | None = None

    @abstractmethod
    def run(self, have: Products, progress: Progress) -> Made:
        """Make all that it gives of what it takes."""


def run_stages(
    stages: Sequence[Stage],
    wanted: Iterable[Product[Any]],
    progress: Progress,
    start: Start = Start.DEFAULT,
    given: Made | None = None,
) -> Products:
    """Make what is wanted; what no later stage takes is let go of as early as possible.

    Args:
        stages: in an order in which each comes after those that it takes from.
        wanted: what to return.
        progress: shows the stages.
        start: the checkpoint to resume after.
        given: what is there already.

    Raises:
        MRTError: bad input, named.
        LookupError: no stage gives something that is needed.
    """
    have = Products(given)
    wanted = list(wanted)
    plan = _plan(stages, wanted, start, have)
    for position, (stage, resumed) in enumerate(plan):
        if resumed and stage.checkpoint:
            have.update(stage.checkpoint.load())
        else:
            made = stage.run(have, progress)
            if stage.checkpoint:
                stage.checkpoint.save(made)
            have.update(made)
            del made
        have.keep(
            [*wanted, *(product for later, resumes in plan[position + 1 :] if not resumes for product in later.takes)]
        )
        memory.trim()
    return have


def _plan(
    stages: Sequence[Stage], wanted: Iterable[Product[Any]], start: Start, have: Products
) -> list[tuple[Stage, bool]]:
    """The stages that are needed, in order, and whether each is read back."""
    needed = {product for product in wanted if product not in have}
    plan: list[tuple[Stage, bool]] = []
    for stage in reversed(stages):
        if not needed.intersection(stage.gives):
            continue
        needed.difference_update(stage.gives)
        resumed = stage.checkpoint is not None and stage.checkpoint.precedes(start)
        if not resumed:
            needed.update(product for product in stage.takes if product not in have)
        plan.append((stage, resumed))
    if needed:
        raise LookupError(f"no stage gives {', '.join(sorted(product.name for product in needed))}")
    return plan[::-1]
