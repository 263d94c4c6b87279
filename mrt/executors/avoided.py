"""Writes around faults of MXNet, for what runs there and not for what is saved.

slice(x)    =>   slice(slice_axis(x, all of it))

There, oneDNN dies (SIGFPE, "could not construct a sub-memory") where x comes from a convolution, in blocks of channels,
and the slice begins or ends within one; slice_axis unpacks them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrt.graph.attrs import optional_integers
from mrt.graph.ir import Graph, Namer, Node, Value

_CHANNELS = 1
_EVERYTHING = {"axis": "0", "begin": "0", "end": "None"}


def without_faults(graph: Graph) -> Graph:
    """A graph that computes the same."""
    if not any(_risky(node) for node in graph.nodes()):
        return graph
    namer = Namer(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if not _risky(node):
            return None
        unpacked = Node("slice_axis", namer(f"{node.name}_unpacked"), inputs, _EVERYTHING)
        return [Value(replace(node, inputs=(Value(unpacked),)))]

    return graph.rebuild(visit)


def _risky(node: Node) -> bool:
    if node.op not in ("slice", "crop"):
        return False
    begin, end = (optional_integers(node, key)[_CHANNELS : _CHANNELS + 1] for key in ("begin", "end"))
    return (*begin, *end) not in ((), (None, None))
