"""Decides which inputs take the bytes of pictures as they are (`mrt.integer.pixels`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from mrt import ops
from mrt.graph import Graph, Value
from mrt.graph.batch import Feed
from mrt.graph.channels import per_channel
from mrt.integer.form import Form
from mrt.integer.pixels import LARGEST, Pixels

_EXACT = 1 / 64  # of a pixel: how far real input may be from what whole pixels make
_RARE = 0.01  # of all pixels


def settled_pixels(pixels: Mapping[str, Pixels], batches: Iterable[Feed]) -> dict[str, Pixels]:
    """The inputs that hold whole pixels on these pictures, each with its offset.

    Of the pixels 0 and 255, the one that pictures have less often saturates. Where it is rare anyway, so that an input
    in which 128 is 0 needs no offset, that decides.
    """
    counts = {name: np.zeros(2, np.int64) for name in pixels}
    sizes = dict.fromkeys(pixels, 0)
    whole = dict(pixels)
    for feed in batches:
        for name, known in pixels.items():
            found = known.of(feed[name] if isinstance(feed, Mapping) else feed)
            rounded = np.rint(found)
            if np.abs(found - rounded).max() > _EXACT or rounded.min() < 0 or rounded.max() > LARGEST:
                whole.pop(name, None)
            counts[name] += [np.count_nonzero(rounded == end) for end in (0, LARGEST)]
            sizes[name] += found.size
    return {name: replace(known, offset=_offset(known, counts[name] / sizes[name])) for name, known in whole.items()}


def _offset(pixels: Pixels, ends: np.typing.NDArray[np.float64]) -> int:
    """127, so that 255 saturates, or 128, so that 0 does; `ends` are the shares of the two in all pixels."""
    low = LARGEST // 2
    if pixels.alike and ends.max() < _RARE and int(pixels.zeros[0]) in (low, low + 1):
        return int(pixels.zeros[0])
    return low + 1 if ends[0] < ends[1] else low


def takes_pixels(graph: Graph, value: Value, pixels: Pixels, channels: int) -> bool:
    """Whether an input of the prepared network can be pixels.

    Where channels mean something else each, all that reads it has to be layers into whose weights that folds, with
    multiplications and additions of constants in between.
    """
    consumers = graph.consumers()
    if any(ops.get(node.op).form is Form.INDEX for node in consumers.get(value, ())):
        return False
    if pixels.alike:
        return True
    read = [value]
    while read:
        tensor = read.pop()
        if tensor in graph.outputs:
            return False
        for node in consumers.get(tensor, ()):
            operator, constant = ops.get(node.op), graph.constant(node.inputs[1]) if len(node.inputs) > 1 else None
            if constant is None or node.inputs[0] != tensor:
                return False
            if operator.affine:
                vector = per_channel(constant, channels, len(graph.input_shapes(1)[value.node.name]))
                if vector is None or not (vector.all() or operator.adds):
                    return False
                read.append(Value(node))
            elif not operator.folds_channels:
                return False
    return True
