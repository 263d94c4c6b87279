"""Finds where to split a network (`Keys=auto`): in front of its detection head.

The head is every operator without an integer form, every one that selects boxes, and all that depends on them. A key is
what the head reads, followed back through operators that only rearrange it:

    softmax -> slice_axis -> where (head)                        the key is softmax
    scores * objectness -> transpose -> Concat -> box_nms        the keys are the parts of the Concat: class numbers,
    corners -> tile --------------------^                        scores and corners share no useful scale
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mrt import ops
from mrt.errors import MRTError, Remedy
from mrt.graph import Graph, Node, Value
from mrt.run.split import Split, split
from mrt.transform.fix_shapes import FixShapes
from mrt.transform.free_batch import FreeBatch

logger = logging.getLogger(__name__)

_AUTO = ("auto",)
_SWITCH = "split_model.keys"


def split_as_configured(network: Graph, keys: Sequence[str]) -> Split | None:
    """The network cut at `keys`, `auto` among them; None where there are none.

    Raises:
        MRTError: it cannot be cut there.
    """
    if not keys:
        return None
    fixed = FixShapes().run(network)  # anchors read the data for its shape: without that, a cut leaves a way around
    if tuple(keys) == _AUTO:
        keys = find_keys(fixed)
        logger.info("split at %s", ", ".join(keys))
    kept = {node.name for node in fixed.nodes()}
    cut = split(fixed if kept.issuperset(keys) else network, keys)
    return replace(cut, base=FreeBatch().run(cut.base))  # the rest may be for one sample at a time


def find_keys(graph: Graph) -> tuple[str, ...]:
    """The names of the nodes to split at, in the graph's order.

    Args:
        graph: a network without operators that only look at shapes (`mrt.transform.fix_shapes`).

    Raises:
        MRTError: there is no head, or it reads a second output of a node.
    """
    dynamic = graph.dynamic()
    head = _head(graph, dynamic)
    if not head:
        raise MRTError("every operator of the network has an integer form", Remedy.NO_KEYS, _SWITCH)
    shape_only = _shape_only(graph, dynamic)

    def back(value: Value, joined: bool) -> Iterator[Value]:
        """The keys behind a value that the head reads; `joined`: whether it may mix tensors of different units."""
        node = value.node
        if node not in dynamic or node in head:
            return
        sources = [source for source in node.inputs if source.node in dynamic]
        moves = ops.known(node.op) and ops.get(node.op).moves and (joined or len(sources) == 1)
        if not (moves or node in shape_only):
            yield value
        else:
            for source in sources:
                yield from back(source, joined)

    keys = {value for value in graph.outputs if value.node in dynamic and value.node not in head}
    for node in head:
        for value in node.inputs:
            keys.update(back(value, ops.of(node).suppresses))
    other = [value.name for value in keys if value.index]
    if other or any(value.node.is_variable for value in keys):
        raise MRTError(
            f"the head reads {', '.join(other) or 'the input itself'}, where a network cannot be split",
            Remedy.NAME_KEYS,
            _SWITCH,
        )
    names = {value.node.name for value in keys}
    return tuple(node.name for node in graph.nodes() if node.name in names)


def _head(graph: Graph, dynamic: set[Node]) -> set[Node]:
    head: set[Node] = set()
    for node in graph.nodes():
        own = node in dynamic and not node.is_variable and _of_a_head(node)
        if own or any(value.node in head for value in node.inputs):
            head.add(node)
    return head


def _of_a_head(node: Node) -> bool:
    """Whether the operator has no integer form, or selects, or makes the numbers of entries."""
    operator = ops.of(node)
    return not ops.known(node.op) or operator.counts(node) or operator.selects


def _shape_only(graph: Graph, dynamic: set[Node]) -> set[Node]:
    """The nodes of which the input's shape decides all values, such as x * 0."""
    found: set[Node] = set()
    for node in graph.nodes():
        sources = [value.node for value in ops.of(node).looked_into(node) if value.node in dynamic]
        if node in dynamic and not node.is_variable and all(source in found for source in sources):
            found.add(node)
    return found
