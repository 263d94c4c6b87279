"""Frees a network of the batch size that it was exported with.

Reshape(x, shape=(4, 512))           =>   Reshape(x, shape=(-1, 512))     where x has 4 * 512 entries at a batch of 4
slice(x, begin=(0, 0), end=(4, 3))   =>   slice(x, begin=(None, 0), end=(None, 3))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from math import prod

from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Node, Shape, Value
from mrt.graph.attrs import flag, integer, integers, optional_integers, text
from mrt.ops.slice import MOST_SAMPLES
from mrt.transform.base import Pass
from mrt.transform.samples_apart import samples_apart

_RESHAPES = ("Reshape", "reshape")
_SLICES = ("slice", "crop")
_MOST_SAMPLES = 32
_TRIED = 8
_COPY, _REST, _COPY_ALL, _MERGE, _SPLIT = 0, -1, -2, -3, -4


class FreeBatch(Pass):
    """Leaves no Reshape or slice that holds for one batch size only. Part of loading: others would fail on MXNet.

    The network is changed only where that is the same network: at one batch size all shapes fit together before, and
    are the same after (entries stay in their order, so the values are the same, too), and samples that are run together
    give what each gives alone.
    """

    name = "free_batch"

    def run(self, graph: Graph) -> Graph:
        """The network for any batch.

        Raises:
            MRTError: it holds for one batch size only, and no other reading of it is the same; the node is named.
        """
        fixed = [node for node in _suspects(graph) if not _follows(graph, node)] or _suspects(graph)
        if not fixed and (size := _only_size(graph)):
            raise MRTError(
                f"the network's shapes fit together for a batch of {size}, not for one sample: what it computes of a "
                "sample depends on the others; export it so that the batch axis is left alone"
            )
        if not fixed or samples_apart(graph, max(map(_count, fixed))):
            return graph
        freed = [result for size in _sizes(fixed[0]) if (result := _freed(graph, size)) is not None]
        if len(freed) != 1:
            raise MRTError(
                f"node {fixed[0].name} ({fixed[0].op}): it holds for one batch size only ({_described(fixed[0])}); "
                "export the network with 0 or -1 in place of the batch size, or cut it before there and run it one "
                "sample at a time"
            )
        return freed[0]


def _only_size(graph: Graph) -> int | None:
    """The smallest batch of more than one that the shapes fit together for, if they do not for one."""
    for size in range(1, _MOST_SAMPLES + 1):
        with suppress(MRTError):
            infer_shapes(graph, size)
            return size if size > 1 else None
    return None


def batch_axis(one: Shape, two: Shape) -> int | None:
    """The axis that a batch of two makes twice as long as a batch of one, if it is the only one to change."""
    changed = [axis for axis, (a, b) in enumerate(zip(one, two)) if a != b]
    return changed[0] if len(changed) == 1 and two[changed[0]] == 2 * one[changed[0]] else None


def _suspects(graph: Graph) -> list[Node]:
    """The nodes of the network's data that may have a batch size in their attributes."""
    found = [node for node in graph.nodes() if _suspicious(node)]
    dynamic = graph.dynamic() if found else set()
    return [node for node in found if node in dynamic]


def _suspicious(node: Node) -> bool:
    """Whether a batch size may be in the attributes."""
    if node.op in _RESHAPES:
        shape = _codes(node)
        return flag(node, "reverse", False) or not shape or shape[0] > 0 or shape[0] == _SPLIT
    if node.op in _SLICES:
        return optional_integers(node, "end")[:1] not in ((), (None,))
    return node.op == "slice_axis" and integer(node, "axis") == 0 and text(node, "end", "None") != "None"


def _codes(node: Node) -> tuple[int, ...]:
    """The wanted shape in MXNet's codes, in the order in which they are read; also of the old target_shape."""
    if codes := integers(node, "shape", ()):
        return codes
    target = integers(node, "target_shape", ())
    if flag(node, "keep_highest", False):
        return (_COPY, *(_REST if size == 0 else size for size in target[1:]))
    return tuple(_REST if size == 0 else size for size in target)


def _shapes(graph: Graph, values: Sequence[Value]) -> tuple[dict[Value, Shape], dict[Value, Shape]]:
    """For a batch of one and of two."""
    part = Graph(tuple(values), graph.params, graph.inputs).pruned()
    return infer_shapes(part, 1), infer_shapes(part, 2)


def _bounds(node: Node) -> tuple[int | None, int | None, int | None]:
    """Of a slice, along the first axis."""
    if node.op == "slice_axis":
        end = text(node, "end", "None")
        return integer(node, "begin"), None if end == "None" else int(end), None
    first = ((*optional_integers(node, key), None)[0] for key in ("begin", "end", "step"))
    begin, end_, step = first
    return begin, end_, step


def reshaped(node: Node, before: Shape) -> Shape | None:
    """What Reshape makes of a shape, as MXNet documents it; None where the number of entries differs."""
    codes, backwards = _codes(node), flag(node, "reverse", False) and bool(integers(node, "shape", ()))
    sizes = list(reversed(before)) if backwards else list(before)
    result: list[int] = []
    wanted = iter(reversed(codes) if backwards else codes)
    at = 0
    for code in wanted:
        if code == _COPY_ALL:
            result += sizes[at:]
            at = len(sizes)
        elif code == _MERGE:
            result.append(prod(sizes[at : at + 2]))
            at += 2
        elif code == _SPLIT:
            parts = [next(wanted, 0), next(wanted, 0)]
            if at >= len(sizes) or 0 in parts:
                return None
            if _REST in parts:
                parts[parts.index(_REST)] = sizes[at] // max(1, -prod(parts))
            result += parts
            at += 1
        else:
            if code == _COPY and at >= len(sizes):
                return None
            result.append(sizes[at] if code == _COPY else code)
            at += 1
    if result.count(_REST) == 1:
        result[result.index(_REST)] = prod(before) // max(1, -prod(result))
    if prod(result) != prod(before):
        return None
    return tuple(reversed(result)) if backwards else tuple(result)


def _follows(graph: Graph, node: Node) -> bool:
    """Whether the batch of the node's result is that of its input, in the same place among the entries."""
    value = node.inputs[0]
    try:
        one, two = (shapes[value] for shapes in _shapes(graph, [value]))
    except MRTError:  # what is before it holds for another batch size only
        return False
    if one == two:
        return True
    axis = batch_axis(one, two)
    if node.op not in _RESHAPES:
        return axis not in (0, None) or (_bounds(node)[1] or 0) > MOST_SAMPLES
    first, second = reshaped(node, one), reshaped(node, two)
    if axis is None or first is None or second is None:
        return False
    after = batch_axis(first, second)
    return after is not None and prod(first[:after]) == prod(one[:axis])


def _count(node: Node) -> int:
    """How many samples show whether the node holds for any number of them: of a slice, more than it takes."""
    return 2 if node.op in _RESHAPES else min(MOST_SAMPLES, max(1, _bounds(node)[1] or 1)) + 1


def _sizes(node: Node) -> Iterator[int]:
    """The batch sizes that the node may have been written for."""
    explicit = [code for code in _codes(node) if code > 0] if node.op in _RESHAPES else [_bounds(node)[1] or 1]
    yield from (size for size in range(1, min(MOST_SAMPLES, prod(explicit)) + 1) if prod(explicit) % size == 0)


def _freed(graph: Graph, size: int) -> Graph | None:
    """The network for any batch, if at this size all shapes fit together and stay as they are."""
    try:
        before = infer_shapes(graph, size)
    except MRTError:
        return None
    reshapes = [node for node in graph.nodes() if node.op in _RESHAPES and Value(node) in before]
    if any(reshaped(node, before[node.inputs[0]]) != before[Value(node)] for node in reshapes):
        return None
    found = (
        result for result in islice(_readings(graph, before, size, 0), _TRIED) if samples_apart(result, max(2, size))
    )
    return next(found, None)


def _readings(graph: Graph, before: dict[Value, Shape], size: int, done: int) -> Iterator[Graph]:
    """The networks with suspects from number `done` on freed, the likeliest first; shapes at this size stay."""
    suspects = _suspects(graph)
    if done == len(suspects):
        try:
            after = {value.name: shape for value, shape in infer_shapes(graph, size).items()}
        except MRTError:
            return
        if all(after.get(value.name, shape) == shape for value, shape in before.items()):
            yield graph
        return
    node = suspects[done]
    named = {value.name: shape for value, shape in before.items()}
    kept = _follows(graph, node)
    for free in ([node] if kept else []) + _open(node, named[node.inputs[0].name], named[node.name], size):
        if free is node:
            yield from _readings(graph, before, size, done + 1)
            continue

        def visit(
            other: Node, inputs: tuple[Value, ...], node: Node = node, free: Node = free
        ) -> Sequence[Value] | None:
            return [Value(replace(free, inputs=inputs))] if other is node else None

        changed = graph.rebuild(visit)
        yield from _readings(changed, before, size, done + (len(_suspects(changed)) == len(suspects)))


def _open(node: Node, before: Shape, after: Shape, size: int) -> list[Node]:
    """The node for any batch, in all ways that are the same at this size."""
    if node.op == "slice_axis":
        free = replace(node, attrs={**node.attrs, "end": "None"})
        return [free] if _bounds(node)[1] == size == before[0] else []
    if node.op in _SLICES:
        begin, end, _ = _bounds(node)
        opened = {key: str((None, *optional_integers(node, key)[1:])) for key in ("begin", "end")}
        return [replace(node, attrs={**node.attrs, **opened})] if not begin and end == size == before[0] else []
    places = [place for place, length in enumerate(after) if length % size == 0]
    shapes = (tuple(-1 if i == place else length for i, length in enumerate(after)) for place in places)
    return [replace(node, attrs={"shape": str(shape)}) for shape in shapes]


def _described(node: Node) -> str:
    keys = ("shape", "target_shape", "begin", "end")
    return ", ".join(f"{key}={node.attrs[key]}" for key in keys if key in node.attrs)
