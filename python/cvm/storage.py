"""Storage numbers: the reference keeps all entries of one number in one buffer, as large as the largest of them.

It checks only that an operator does not write into the buffer of its own input, a few element-wise ones apart
(`Operator.in_place`); that nothing else lives there any more is up to who wrote the file. Numbers are given here as
lists, one per node with one number per output; shapes likewise.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

from cvm import ops
from cvm.node import INPUT, Node
from cvm.ops.base import Shape

Entry = tuple[int, int]
WORD = 4  # bytes of every value, whatever its precision


def plan(nodes: Sequence[Node], heads: Sequence[Entry], shapes: Sequence[Sequence[Shape]]) -> list[list[int]]:
    """A storage number for every entry, shared by operators' outputs that never live at the same time.

    Each variable has its own, since parameters stay from run to run. Best fit: of the free buffers the smallest that is
    large enough, else the largest, which grows.
    """
    last_use = _last_use(nodes, heads)
    sizes: list[int] = []
    free: list[tuple[int, int]] = []  # (size, number), sorted
    numbers: list[list[int]] = []

    def take(size: int) -> int:
        if not free:
            sizes.append(size)
            return len(sizes) - 1
        _, number = free.pop(min(bisect_left(free, (size, -1)), len(free) - 1))
        sizes[number] = max(sizes[number], size)
        return number

    for index, node in enumerate(nodes):
        elements = [math.prod(shape) for shape in shapes[index]]
        if node.is_variable:
            sizes += elements
            numbers.append([len(sizes) - 1])
            continue
        dying = [entry for entry in dict.fromkeys(node.inputs) if _dies(nodes, last_use, entry, index)]
        if ops.get(node.op).in_place and dying:
            i, k = dying.pop(0)
            numbers.append([numbers[i][k]])
        else:
            numbers.append([take(size) for size in elements])
        unread = [(index, k) for k in range(len(elements)) if (index, k) not in last_use]
        for i, k in dying + unread:
            insort(free, (sizes[numbers[i][k]], numbers[i][k]))
    return numbers


def size(shapes: Sequence[Sequence[Shape]], numbers: Sequence[Sequence[int]]) -> int:
    """Bytes of all buffers together, each counted once."""
    largest: dict[int, int] = {}
    for row, given in zip(shapes, numbers):
        for shape, number in zip(row, given):
            largest[number] = max(largest.get(number, 0), math.prod(shape))
    return WORD * sum(largest.values())


def clash(nodes: Sequence[Node], heads: Sequence[Entry], numbers: Sequence[Sequence[int]]) -> str | None:
    """What would be overwritten while it is still needed, in words; None where nothing is."""
    last_use = _last_use(nodes, heads)
    holder: dict[int, Entry] = {}
    for index, node in enumerate(nodes):
        if not node.is_variable:
            continue
        other = holder.setdefault(numbers[index][0], (index, 0))
        if other[0] != index:
            return f"variables {nodes[other[0]].name!r} and {node.name!r} share a storage"
    for index, node in enumerate(nodes):
        if node.is_variable:
            continue
        for output, number in enumerate(numbers[index]):
            if number in holder:
                i, k = holder[number]
                held = last_use.get((i, k), -1)
                parameter = nodes[i].is_variable and nodes[i].name != INPUT
                if parameter or i == index or held > index or (held == index and not ops.get(node.op).in_place):
                    return f"node {node.name!r} writes into the storage of {nodes[i].name!r}, which is still needed"
            holder[number] = (index, output)
    return None


def _last_use(nodes: Sequence[Node], heads: Sequence[Entry]) -> dict[Entry, int]:
    """The last node that reads each entry; beyond the last node for heads."""
    last = {entry: index for index, node in enumerate(nodes) for entry in node.inputs}
    last.update(dict.fromkeys(heads, len(nodes)))
    return last


def _dies(nodes: Sequence[Node], last_use: dict[Entry, int], entry: Entry, index: int) -> bool:
    return not nodes[entry[0]].is_variable and last_use[entry] == index
