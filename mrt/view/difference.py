"""What became of a graph's nodes between two stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mrt.view.seen import Seen, View


def difference(one: View, other: View) -> str:
    """Lines: a summary, then each node that is not as before.

    Of two nodes that became one, both are fused; a node that became one or more others is lowered. A node of real
    numbers that left no integers of its own is what the saturation of those that it reads does, as of a ReLU.
    """
    before = {node.name: node for node in one.nodes}
    after = {node.name: node for node in other.nodes}
    last = {name: node for node in other.nodes for name in (*node.origin, node.name)}
    into = {node.name: last[name] for node in one.nodes for name in (*node.origin, node.name) if name in last}
    if not _integers(one) and _integers(other):
        for node in one.nodes:
            if node.name not in into and len(node.inputs) == 1 and node.inputs[0] in into:
                into[node.name] = into[node.inputs[0]]
    sources = Counter(node.name for node in into.values())
    rewritten = [
        (before[name], node) for name, node in after.items() if name in before and _changed(before[name], node)
    ]
    left = [(node, into[name]) for name, node in before.items() if name not in after and name in into]
    fused = [(a, b) for a, b in left if sources[b.name] > 1]
    became = [(a, b) for a, b in left if sources[b.name] == 1]
    gone = [node for name, node in before.items() if name not in after and name not in into]
    new = [node for name, node in after.items() if name not in before]
    same = len(before) - len(rewritten) - len(left) - len(gone)
    parts = {"the same": same, "rewritten": len(rewritten), "fused": len(fused), "lowered": len(became)}
    counts = ", ".join(f"{count} {what}" for what, count in {**parts, "gone": len(gone), "new": len(new)}.items())
    lines = [f"{len(before)} nodes, then {len(after)}: {counts}"]
    lines += [f"fused      {a.name} ({a.op}) into {b.name} ({b.op})" for a, b in fused]
    lines += [f"lowered    {a.name} ({a.op}), last to {b.name} ({b.op})" for a, b in became]
    lines += [f"rewritten  {a.name}: {', '.join(_changes(a, b))}" for a, b in rewritten]
    lines += [f"gone       {node.name} ({node.op})" for node in gone]
    lines += [f"new        {node.name} ({node.op})" + _from(node) for node in new]
    kinds = Counter(node.op for node in other.nodes) - Counter(node.op for node in one.nodes)
    if kinds:
        lines.append("more of    " + ", ".join(f"{op} {count:+d}" for op, count in kinds.most_common()))
    return "\n".join(lines) + "\n"


def _integers(view: View) -> bool:
    return any(node.precision is not None for node in view.nodes)


def _changed(one: Seen, other: Seen) -> bool:
    return any(True for _ in _changes(one, other))


def _changes(one: Seen, other: Seen) -> Iterator[str]:
    if one.op != other.op:
        yield f"{one.op} -> {other.op}"
    if one.inputs != other.inputs:
        yield f"reads {', '.join(other.inputs) or 'nothing'} instead of {', '.join(one.inputs) or 'nothing'}"
    if one.op == other.op and (one.attrs != other.attrs):
        names = sorted(key for key in {**one.attrs, **other.attrs} if one.attrs.get(key) != other.attrs.get(key))
        changed = [f"{key} {one.attrs.get(key, 'not set')} -> {other.attrs.get(key, 'not set')}" for key in names]
        yield from (text for key, text in zip(names, changed) if not key.startswith("__"))
    if one.shape != other.shape and one.shape and other.shape:
        yield f"{one.size} -> {other.size}"
    if one.parameters != other.parameters and one.op == other.op:
        yield f"{one.parameters:,} -> {other.parameters:,} parameters"


def _from(node: Seen) -> str:
    others = [name for name in node.origin if name != node.name]
    return f" for {', '.join(others)}" if others else ""
