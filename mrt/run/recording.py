"""A part of an evaluation, kept so that the whole can be judged from its parts exactly as if it had been one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mrt.graph import Array
from mrt.graph.batch import Feed


@dataclass(frozen=True)
class Batch:
    """One batch: labels, and the real outputs of the float network and of the integer one."""

    labels: Array
    floats: list[Array]
    integers: list[Array]


@dataclass
class Recording:
    """The batches of `count` pictures from number `offset` of the evaluation's on."""

    offset: int
    count: int
    batches: list[Batch] = field(default_factory=list)

    def add(self, feed: Feed, labels: Array, floats: Sequence[Array], integers: Sequence[Array]) -> None:
        """One more batch; its data are not kept."""
        self.batches.append(Batch(labels, list(floats), list(integers)))


def parts(count: int, batch: int, most: int) -> list[Recording]:
    """At most so many parts of `count` pictures, each of whole batches but for the last."""
    batches = -(-count // batch)
    edges = [batch * (batches * number // most) for number in range(most)] + [count]
    return [Recording(a, b - a) for a, b in zip(edges, edges[1:]) if b > a]
