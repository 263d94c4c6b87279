"""What the reference charges for one run of a model ("gas"): a function of the shapes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cvm import ops
from cvm.node import Node
from cvm.ops.base import Shape

MEMORY_CHARGE = 5
MAX_BASE = 2**30
MAX_TOTAL = 2**40


@dataclass(frozen=True)
class Charge:
    """`work`: `Operator.charge` times the elements of the first output, over all operators.

    `memory`: `MEMORY_CHARGE` times the elements of every variable and output. `base`: the largest charge per element,
    of the operator `worst`.
    """

    work: int
    memory: int
    base: int
    worst: str

    @property
    def operations(self) -> int:
        """The reference's operation count."""
        return self.work + self.memory

    def refusal(self) -> str | None:
        """Why the reference would not take the model; None where it does."""
        if self.base > MAX_BASE:
            return f"node {self.worst!r} is charged {self.base} operations per element, more than {MAX_BASE}"
        if self.work > MAX_TOTAL or self.memory > MAX_TOTAL:
            return f"{self.operations} operations are charged, more than {MAX_TOTAL} for work or for memory"
        return None


def charge(nodes: Sequence[Node], shapes: Sequence[Sequence[Shape]]) -> Charge:
    """The charge of a graph whose outputs have these shapes."""
    work, memory, base, worst = 0, 0, 0, ""
    for node, outputs in zip(nodes, shapes):
        memory += MEMORY_CHARGE * sum(math.prod(shape) for shape in outputs)
        if node.is_variable:
            continue
        own = ops.get(node.op).charge(node.attrs, [shapes[i][k] for i, k in node.inputs])
        work += own * math.prod(outputs[0])
        if own > base:
            base, worst = own, node.name
    return Charge(work, memory, base, worst)
