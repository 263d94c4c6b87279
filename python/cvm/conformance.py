"""What the reference implementation refuses or computes otherwise, although this project reads and runs it.

`refusals` is what `cvm.format.encode` never writes; `python -m cvm inspect --strict` shows the `departures` of a file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

from cvm import ops, storage
from cvm.charge import charge
from cvm.model import INPUT, Inferred, Model, Node
from cvm.ops.base import Shape
from cvm.symbol import Symbol

MAX_STORAGE = 2**32
_ESCAPES = frozenset(b'"\\nrt')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # all but tab, line feed and carriage return


def refusals(model: Model, inferred: Inferred) -> Iterator[str]:
    """Why the reference would refuse the model however it is written, one line each."""
    for node in model.nodes:
        if _CONTROL.search(node.name) or not _is_text(node.name):
            yield f"node {node.name[:80]!r}: the name holds a character that JSON would have to escape"
        if node.op in _REFUSED:
            problem = _REFUSED[node.op](node, [inferred.shapes[i][k] for i, k in node.inputs])
            if problem:
                yield f"node {node.name!r} ({node.op}): {problem}"
    problem = charge(model.nodes, inferred.shapes).refusal()
    if problem:
        yield problem


def storage_refusal(shapes: Sequence[Sequence[Shape]], numbers: Sequence[Sequence[int]]) -> str | None:
    """Why the reference would refuse the storage numbers of entries of these shapes; None where it does not."""
    size = storage.size(shapes, numbers)
    return f"{size} bytes of storage, more than {MAX_STORAGE}" if size > MAX_STORAGE else None


def departures(content: bytes, symbol: Symbol, model: Model) -> list[str]:
    """What of a symbol file the reference refuses, or computes otherwise.

    Args:
        content: the file.
        symbol: what `cvm.symbol.decode` makes of it.
        model: what `cvm.format.load` makes of it.
    """
    inferred = model.infer()
    found = list(refusals(model, inferred))
    escapes = {mark for (mark,) in re.findall(rb"\\(.)", content, re.DOTALL)} - _ESCAPES
    found += [f"the escape \\{chr(mark)} in a string" for mark in sorted(escapes)]
    oversize = storage_refusal(symbol.shapes, symbol.storage)
    if oversize:
        found.append(oversize)
    clash = storage.clash(symbol.nodes, symbol.heads, symbol.storage)
    if clash:
        found.append(f"storage_id: {clash}")
    if not symbol.nodes[0].is_variable or symbol.nodes[0].name != INPUT:
        found.append(f"the first node is not the input {INPUT!r}")
    for node in model.nodes:
        if node.op == "cvm_left_shift":
            found.append(f"node {node.name!r}: the reference's default build has no cvm_left_shift")
        if node.op == "where" and len(inferred.shapes[node.inputs[0][0]][node.inputs[0][1]]) == 1:
            found.append(f"node {node.name!r}: where with a 1-D condition leaves part of its output undefined")
    rows = {math.prod(inferred.shapes[i][k][:-1]) for i, k in model.heads}
    if len(rows) > 1:
        found.append(f"outputs of {sorted(rows)} rows cannot be joined")
    return found


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _slice_like(node: Node, shapes: list[Shape]) -> str | None:
    if ops.get(node.op).parse(node.attrs).axis or len(shapes[0]) == len(shapes[1]):
        return None
    return f"no axis is given, and {shapes[0]} and {shapes[1]} have different numbers of dimensions"


def _reshape(node: Node, shapes: list[Shape]) -> str | None:
    codes, at = ops.get(node.op).parse(node.attrs).shape, 0
    follows = False
    while at < len(codes):
        if codes[at] == -1 and follows:
            return f"shape {codes}: -1 may not follow -2 or -4"
        follows = follows or codes[at] in (-2, -4)
        at += 3 if codes[at] == -4 else 1
    return None


_REFUSED: dict[str, Callable[[Node, list[Shape]], str | None]] = {"slice_like": _slice_like, "reshape": _reshape}
