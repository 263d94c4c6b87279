"""Operators on sequences, of which each sample may have a length of its own: all of them as masks over the places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrt.graph import Array, Node, Shape, Value
from mrt.graph.attrs import axis_of, flag, number, refuse
from mrt.ops.base import Operator, Rewriter, require_batch_kept
from mrt.ops.take import taken

_HALF = 0.5  # between two whole lengths, so that rounding decides nothing


class _Sequenced(Operator):
    """Shared: the places are on one of the first two axes, the samples on the other; lengths are the second input.

    Without `use_sequence_length`, all sequences are as long as the axis.
    """

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Places and samples are on axes of their own, and there are lengths where they are used."""
        shape = shapes[node.inputs[0]]
        axis = axis_of(node, "axis", len(shape), 0)
        require_batch_kept(node, [axis], shape, "a sequence")
        if not _has_lengths(node):
            return
        if len(node.inputs) < 2:
            raise refuse(node, "use_sequence_length is set, but there is no input of lengths")
        if shape[1 - axis] != -1:
            raise refuse(node, f"sequences of shape {shape}: the samples must be on axis {1 - axis}")


class SequenceMask(_Sequenced):
    """What is behind the end of each sequence becomes a value."""

    names = ("SequenceMask", "sequence_mask")
    summary = "a product with length > place; without lengths: removed"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """x * mask + value * (1 - mask)."""
        if not _has_lengths(node):
            return [inputs[0]]
        shape = rw.shape(node.inputs[0])
        axis, value = axis_of(node, "axis", len(shape), 0), number(node, "value", 0.0)
        inside = _longer(rw, inputs[1], np.arange(shape[axis]), axis, len(shape))
        kept = rw.op("broadcast_mul", [inputs[0], inside])
        if not value:
            return [kept]
        filled = rw.op("_rminus_scalar", [rw.op("_mul_scalar", [inside], {"scalar": value})], {"scalar": value})
        return [rw.op("broadcast_add", [kept, filled])]


class SequenceLast(_Sequenced):
    """The last entry of each sequence."""

    names = ("SequenceLast", "sequence_last")
    summary = "slice_axis; with lengths: a sum over the places, of which one counts"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The place t counts where t < length <= t + 1."""
        shape = rw.shape(node.inputs[0])
        axis = axis_of(node, "axis", len(shape), 0)
        length = shape[axis]
        if not _has_lengths(node):
            last = rw.op("slice_axis", [inputs[0]], {"axis": axis, "begin": length - 1, "end": length})
            return [rw.op("squeeze", [last], {"axis": axis})]
        places = np.arange(length)
        chosen = _equal(rw, inputs[1], places + 1, axis, len(shape))
        return [rw.op("sum", [rw.op("broadcast_mul", [inputs[0], chosen])], {"axis": axis})]


class SequenceReverse(_Sequenced):
    """Each sequence backwards; what is behind its end stays."""

    names = ("SequenceReverse", "sequence_reverse")
    summary = "take; with lengths: a matrix product that puts the places in order"

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """A matrix (N, T, T) times the data: t gets place s where s + t + 1 = length, or s = t >= length."""
        shape = rw.shape(node.inputs[0])
        length = shape[0]
        if not _has_lengths(node):
            return [taken(rw, inputs[0], 0, range(length - 1, -1, -1))]
        places = np.arange(length)
        mirrored = _equal(rw, inputs[1], places[:, None] + places + 1, 1, 3)
        inside = _longer(rw, inputs[1], places[:, None], 1, 3)
        behind = rw.op("_rminus_scalar", [inside], {"scalar": 1.0})
        stays = rw.op("broadcast_mul", [behind, rw.param(np.eye(length)[None])])
        order = rw.op("broadcast_add", [mirrored, stays])
        samples_first = rw.op("SwapAxis", [inputs[0]], {"dim1": 0, "dim2": 1})
        rows = rw.op("Reshape", [samples_first], {"shape": (0, 0, -1)})
        ordered = rw.op("batch_dot", [order, rows])
        result = rw.op("Reshape", [ordered], {"shape": (0, 0, *shape[2:])}) if len(shape) != 3 else ordered
        return [rw.op("SwapAxis", [result], {"dim1": 0, "dim2": 1})]


def _has_lengths(node: Node) -> bool:
    return flag(node, "use_sequence_length", False)


def _longer(rw: Rewriter, lengths: Value, places: Array, axis: int, rank: int) -> Value:
    """1 where a length (N,) is beyond a place, else 0; the samples are on the other of the first two axes.

    Places (T,) are along `axis`, of `rank` axes; a matrix of places is the last two of three axes.
    """
    for at in (axis, *range(2, rank)):
        lengths = rw.op("expand_dims", [lengths], {"axis": at})
    shape = (1, *places.shape) if places.ndim > 1 else tuple(-1 if at == axis else 1 for at in range(rank))
    return rw.op("broadcast_greater", [lengths, rw.param(places.reshape(shape) + _HALF)])


def _equal(rw: Rewriter, lengths: Value, places: Array, axis: int, rank: int) -> Value:
    """1 where a length is that of a place, which is what is beyond the place before and not beyond it; else 0."""
    beyond = [_longer(rw, lengths, places - before, axis, rank) for before in (1, 0)]
    return rw.op("broadcast_sub", beyond)
