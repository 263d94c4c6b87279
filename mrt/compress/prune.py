"""Removes channels: the network without them, and the same network with their weights at zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mrt.compress.follow import slice_bounds
from mrt.compress.groups import ChannelGroups
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import integer

_TOLERANCE = 1e-4


def prune(groups: ChannelGroups, units: Iterable[int], verify: Array | None = None) -> Graph:
    """The network without these units: an ordinary, smaller graph.

    Args:
        groups: of the network.
        units: what to remove.
        verify: pictures on which the result must give the outputs of `masked`.

    Raises:
        MRTError: a unit cannot be removed, a layer would be left without channels, or the outputs differ.
    """
    gone = _gone(groups, units)
    for layer in groups.layers:
        if gone[groups.layer_units(layer)].all():
            raise MRTError(f"pruning: nothing would be left of layer {layer.name}; lower the ratio, or name it in Keep")
    graph = groups.graph
    params = dict(graph.params)
    for node, needs in groups.needs.items():
        for position, axis, ids in needs.cuts:
            name = node.inputs[position].node.name
            kept = np.flatnonzero(~gone[groups.units_of(ids)])
            if params[name].shape[axis] == len(ids) and len(kept) < len(ids):
                params[name] = np.ascontiguousarray(np.take(params[name], kept, axis))

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node not in groups.needs:
            return None
        return _changed(node, inputs, groups, gone)

    smaller = Graph(graph.outputs, params, graph.inputs).rebuild(visit)
    infer_shapes(smaller)
    if verify is not None:
        _compare(Executor(masked(groups, units))(verify), Executor(smaller)(verify))
    return smaller


def masked(groups: ChannelGroups, units: Iterable[int]) -> Graph:
    """The network of the old shape with all weights of the removed channels at zero."""
    gone = _gone(groups, units)
    params = dict(groups.graph.params)
    for node, needs in groups.needs.items():
        for position, axis, ids in needs.cuts:
            name = node.inputs[position].node.name
            lost = np.flatnonzero(gone[groups.units_of(ids)])
            if len(lost):
                array = np.array(params[name])
                array[(slice(None),) * axis + (lost,)] = 0
                params[name] = array
    return Graph(groups.graph.outputs, params, groups.graph.inputs)


def _gone(groups: ChannelGroups, units: Iterable[int]) -> Array:
    removable = np.concatenate([np.zeros(0, int), *(group.units for group in groups.groups)])
    chosen = np.fromiter(units, int)
    if not np.isin(chosen, removable).all():
        raise MRTError("pruning: a channel that cannot be removed was chosen")
    gone = np.zeros(groups.unit_count, bool)
    gone[chosen] = True
    return gone


def _changed(node: Node, inputs: tuple[Value, ...], groups: ChannelGroups, gone: Array) -> Sequence[Value] | None:
    """The node with its attributes for fewer channels; None where they stay."""
    needs = groups.needs[node]

    def left(ids: Array) -> int:
        return int((~gone[groups.units_of(ids)]).sum())

    attrs = {name: str(left(ids)) for name, ids in needs.counts.items() if left(ids) < len(ids)}
    if needs.reshaped:
        layout, shape = groups.layouts[Value(node)], groups.shapes[Value(node)]
        kept = left(layout.vector)
        if kept < layout.size:
            new = [kept if axis == layout.axis else size for axis, size in enumerate(shape)]
            attrs = {"shape": str((-1, *new[1:])), "reverse": "False"}
    if needs.sliced is not None and left(needs.sliced) < len(needs.sliced):
        return _resliced(node, inputs, ~gone[groups.units_of(needs.sliced)])
    if not attrs:
        return None
    return [Value(replace(node, inputs=inputs, attrs={**node.attrs, **attrs}))]


def _resliced(node: Node, inputs: tuple[Value, ...], kept: Array) -> Sequence[Value]:
    """Slices of what is left; the parts of a split may be of different sizes now."""
    before = np.concatenate([[0], np.cumsum(kept)])
    if node.op == "slice_axis":
        begin, end = slice_bounds(node, len(kept))
        attrs = {**node.attrs, "begin": str(before[begin]), "end": str(before[end])}
        return [Value(replace(node, inputs=inputs, attrs=attrs))]
    count, axis = integer(node, "num_outputs"), node.attrs.get("axis", "1")
    size = len(kept) // count
    bounds = [(before[i * size], before[(i + 1) * size]) for i in range(count)]
    if len({end - begin for begin, end in bounds}) == 1:
        return [Value(replace(node, inputs=inputs), index) for index in range(count)]
    return [
        Value(
            Node(
                "slice_axis",
                f"{node.name}_part{index}",
                inputs,
                {"axis": axis, "begin": str(begin), "end": str(end)},
                node.origin,
            )
        )
        for index, (begin, end) in enumerate(bounds)
    ]


def _compare(old: Sequence[Array], new: Sequence[Array]) -> None:
    for one, other in zip(old, new):
        scale = max(float(np.max(np.abs(one))), 1e-12)
        error = float(np.max(np.abs(one - other))) / scale if one.shape == other.shape else float("inf")
        if not error <= _TOLERANCE:
            raise MRTError(f"pruning changed the network: relative error {error:.2e} with the removed weights at zero")
