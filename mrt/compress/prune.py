"""Removes channels: the network without them, and the same network with their weights at zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mrt.compress.groups import ChannelGroups
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Node, Value

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
    if needs.change is not None:
        ids, change = needs.change
        if left(ids) < len(ids):
            return change(inputs, ~gone[groups.units_of(ids)])
    if not attrs:
        return None
    return [Value(replace(node, inputs=inputs, attrs={**node.attrs, **attrs}))]


def _compare(old: Sequence[Array], new: Sequence[Array]) -> None:
    for one, other in zip(old, new):
        scale = max(float(np.max(np.abs(one))), 1e-12)
        error = float(np.max(np.abs(one - other))) / scale if one.shape == other.shape else float("inf")
        if not error <= _TOLERANCE:
            raise MRTError(f"pruning changed the network: relative error {error:.2e} with the removed weights at zero")
