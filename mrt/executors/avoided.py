"""Writes around faults of MXNet, for what runs there and not for what is saved.

slice(x)                    =>   slice(slice_axis(x, all of it))
SequenceMask(x, lengths)    =>   SequenceMask(x, min(max(lengths, 0), T))    T places; SequenceLast: at least 1

In the first, oneDNN dies (SIGFPE, "could not construct a sub-memory") where x comes from a convolution, in blocks of
channels, and the slice begins or ends within one; slice_axis unpacks them. In the second, MXNet reads and writes beyond
the tensor where a length is: any number may come in, as before data is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mrt.graph.attrs import flag, integer, optional_integers
from mrt.graph.ir import Graph, Namer, Node, Value

_CHANNELS = 1
_EVERYTHING = {"axis": "0", "begin": "0", "end": "None"}
_FEWEST = {"SequenceMask": "0", "SequenceLast": "1", "SequenceReverse": "0"}


def without_faults(graph: Graph) -> Graph:
    """A graph that computes the same."""
    if not any(_slices_channels(node) or _reads_lengths(node) for node in graph.nodes()):
        return graph
    namer = Namer(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        def new(op: str, of: tuple[Value, ...], attrs: dict[str, str] | None = None) -> Value:
            return Value(Node(op, namer(f"{node.name}_{op.strip('_')}"), of, attrs or {}))

        if _slices_channels(node):
            return [Value(replace(node, inputs=(new("slice_axis", inputs, _EVERYTHING),)))]
        if _reads_lengths(node):
            return [Value(replace(node, inputs=(inputs[0], _within(node, inputs, new))))]
        return None

    return graph.rebuild(visit)


def _slices_channels(node: Node) -> bool:
    if node.op not in ("slice", "crop"):
        return False
    begin, end = (optional_integers(node, key)[_CHANNELS : _CHANNELS + 1] for key in ("begin", "end"))
    return (*begin, *end) not in ((), (None, None))


def _reads_lengths(node: Node) -> bool:
    return node.op in _FEWEST and len(node.inputs) > 1 and flag(node, "use_sequence_length", False)


def _within(node: Node, inputs: tuple[Value, ...], new: Callable[..., Value]) -> Value:
    """The lengths, held to the places that there are: one more than the last place's number."""
    last = new("max", (new("_contrib_arange_like", inputs[:1], {"axis": str(integer(node, "axis", 0))}),))
    most = new("_plus_scalar", (last,), {"scalar": "1"})
    fewest = new("_maximum_scalar", inputs[1:], {"scalar": _FEWEST[node.op]})
    return new("broadcast_minimum", (fewest, most))
