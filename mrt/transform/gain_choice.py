"""Finds the layers whose input channels differ so much that gains on them pay, and the gains.

A layer's error by rounding its input x to 8 bits with gains g (`mrt.transform.channel_gains`) is

    step^2 / 12 * sum of (W / g)^2,    step ~ the largest |g x|,

and by rounding its weights W, which have a step per output channel o,

    sum over o of step_o^2 / 12 * sum of (g x)^2,    step_o ~ the largest |W_o / g|.

A depthwise layer reads one channel for each output, so there gains cost the weights nothing. A layer gets gains where
they take off most of that, and do so on pictures that had no part in choosing them: what is unseen reaches further.
What a dense layer reads of moved pictures, as flattened ones, has one gain for all entries of a channel, so that it can
go in before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrt import ops
from mrt.calibrate.thresholds import LEVELS, mse
from mrt.executors.mxnet import infer_shapes
from mrt.executors.streaming import streamed
from mrt.graph import Array, Graph, Node, Shape, Value
from mrt.graph.attrs import integer
from mrt.graph.batch import Feed, Samples
from mrt.graph.channels import along_channels, numbered
from mrt.quantizer.input_cost import clamps
from mrt.statistics.tensor import Statistics
from mrt.transform.channel_paths import carried, is_layer

_WORTH = 0.4  # of a layer's error, what may be left
_POOR = 10**-3.5  # of a layer's output's power, the error that is worth a multiplication
_LARGEST_GAIN = 2.0**10
_POWERS = (0.5, 0.75, 1.0)  # of what would make all channels alike


@dataclass
class _Seen:
    """What was seen of a layer's input channels, (C,) each, and of its output, as a clamp after it leaves it.

    Attributes:
        largest: magnitude of each channel.
        power: mean square of each channel.
        passed: the part of each output channel, (O,), that the clamp lets through: what is beyond it hides errors.
        entries: the channel's number of each entry of axis 1 that the layer reads.
        output: mean square of the output.
    """

    largest: Array
    power: Array
    passed: Array
    entries: Array
    output: float = 0.0


@dataclass(eq=False)
class _Trial:
    """The error that rounding a layer's input to 8 bits makes, with gains or without."""

    gain: Array
    seen: Statistics | None = None
    error: Array | None = None


def find_gains(graph: Graph, pictures: Feed, context: Any | None = None) -> dict[str, Array]:
    """The gains that the layers are to get, by the layer's name.

    Args:
        graph: the prepared network.
        pictures: input; the first half proposes gains, the second decides.
        context: MXNet device.
    """
    layers = [node for node in graph.nodes() if is_layer(node, graph) and graph.constant(node.inputs[0]) is None]
    samples = Samples(graph.inputs)
    count = samples.count(pictures)
    if not layers or count < 2:
        return {}
    choosing, deciding = (samples.take(pictures, half) for half in np.array_split(np.arange(count), 2))
    shapes = infer_shapes(graph)
    seen = _look(graph, layers, choosing, shapes, context)
    trials: dict[Node, tuple[_Trial, _Trial]] = {}
    for layer in layers:
        proposed = _proposed(layer, _felt(layer, graph, seen[layer]), seen[layer])
        if proposed is not None:
            trials[layer] = (_Trial(np.ones(len(proposed))), _Trial(proposed))
    if trials:
        _try(graph, trials, seen, choosing, deciding, context)
    found = {}
    for layer, (plain, gained) in trials.items():
        weight = _felt(layer, graph, seen[layer])
        before, after = (_error(layer, weight, trial, seen[layer]) for trial in (plain, gained))
        if before > _POOR and after < _WORTH * before:
            found[layer.name] = gained.gain[seen[layer].entries].astype(np.float32)
    return found


def _look(
    graph: Graph, layers: Sequence[Node], pictures: Feed, shapes: Mapping[Value, Shape], context: Any
) -> dict[Node, _Seen]:
    seen = {}
    for layer in layers:
        entries, outputs = _entries(layer, graph, shapes), shapes[Value(layer)][1]
        inputs = int(entries.max()) + 1
        seen[layer] = _Seen(np.zeros(inputs), np.zeros(inputs), np.zeros(outputs), entries)
    bounds = clamps(graph, layers)
    for layer, x, y, share in _arrays(graph, seen, pictures, context):
        one = seen[layer]
        clamped = np.clip(y, *bounds[layer])
        one.largest = np.maximum(one.largest, np.abs(x).max(axis=_all_but_channels(x)))
        one.power += share * np.square(x).mean(axis=_all_but_channels(x), dtype=np.float64)
        one.passed += share * (clamped == y).mean(axis=_all_but_channels(y))
        one.output += share * float(np.square(clamped).mean(dtype=np.float64))
    return seen


def _all_but_channels(x: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def _arrays(
    graph: Graph, layers: Mapping[Node, _Seen], pictures: Feed, context: Any
) -> Iterator[tuple[Node, Array, Array, float]]:
    """Each layer with its input and output, piece of data after piece, and the piece's part of all."""
    whole = Samples(graph.inputs).count(pictures)
    pairs = [[layer.inputs[0], Value(layer)] for layer in layers]
    for count, arrays in streamed(graph, pairs, [pictures], context):
        for (layer, seen), (x, y) in zip(layers.items(), arrays):
            yield layer, _by_channel(x, seen.entries), y, count / whole


def _entries(layer: Node, graph: Graph, shapes: Mapping[Value, Shape]) -> Array:
    """For each entry of axis 1 that the layer reads, the number of its channel.

    Of what movements make of pictures, as flattening does, that is the pictures'.
    """
    value = layer.inputs[0]
    found = np.arange(shapes[value][1])
    if len(shapes[value]) != 2:
        return found
    path: list[Node] = []
    while ops.of(value.node).moves:
        path.append(value.node)
        dynamic = [each for each in value.node.inputs if graph.constant(each) is None]
        if len(dynamic) != 1 or len(shapes[dynamic[0]]) < 2:
            break
        (value,) = dynamic
        numbers: Array | None = numbered(shapes[value])
        for node in reversed(path):
            given = [None if graph.constant(each) is not None else numbers for each in node.inputs]
            numbers = None if numbers is None else carried(node, given, graph, shapes)
        along = None if numbers is None else along_channels(numbers, (1, len(found)))
        if along is None:
            continue
        channels, of, sizes = np.unique(along, return_inverse=True, return_counts=True)
        if len(channels) > 1 and (sizes == sizes[0]).all():
            found = of
    return found


def _by_channel(array: Array, entries: Array) -> Array:
    """Inputs (N, I, …), or weights, with the entries of each channel along an axis of their own if it has several."""
    channels = int(entries.max()) + 1
    if channels == len(entries):
        return array
    if (np.diff(entries) < 0).any():
        array = array[:, np.argsort(entries, kind="stable")]
    return array.reshape(len(array), channels, -1)


def _proposed(layer: Node, weight: Array, seen: _Seen) -> Array | None:
    """The gains of which rounding costs least, by what was seen, or None where none is worth it."""
    largest = np.maximum(seen.largest, 1e-6 * max(float(seen.largest.max()), 1e-30))
    columns = _columns(layer, weight)
    depthwise = weight.shape[1] == 1
    wanted = [(largest.max() / largest) ** power for power in _POWERS]
    if not depthwise:
        reads = np.maximum(np.abs(columns).max(axis=0), 1e-6 * float(np.abs(weight).max()))
        wanted.append(np.sqrt(reads / largest))
    best, least = None, _WORTH * _expected(columns, np.ones(len(largest)), seen, depthwise)
    for gain in wanted:
        gain = gain / float((gain * largest).max()) * float(largest.max())
        gain = np.clip(gain, gain.max() / _LARGEST_GAIN, None)
        expected = _expected(columns, gain, seen, depthwise)
        if expected < least:
            best, least = gain, expected
    return best


def _felt(layer: Node, graph: Graph, seen: _Seen) -> Array:
    """The layer's weights (O, I / groups, …) by channel, less what the clamp after it hides."""
    weight = graph.params[layer.inputs[1].node.name]
    if layer.op == "FullyConnected":
        weight = _by_channel(weight, seen.entries)
    felt: Array = weight * np.sqrt(seen.passed).reshape((-1,) + (1,) * (weight.ndim - 1))
    return felt


def _columns(layer: Node, weight: Array) -> Array:
    """The root of the energy of the taps with which each output reads each channel: (O, C), or (1, C) of a layer with
    groups, whose outputs are taken together."""
    energy = np.square(weight.reshape(len(weight), weight.shape[1], -1).astype(np.float64)).sum(axis=2)
    groups = integer(layer, "num_group", 1) if layer.op == "Convolution" else 1
    if groups > 1:
        energy = energy.reshape(groups, -1, weight.shape[1]).sum(axis=1).reshape(1, -1)
    columns: Array = np.sqrt(energy)
    return columns


def _expected(columns: Array, gain: Array, seen: _Seen, depthwise: bool) -> float:
    """What rounding the input and the weights costs, in units of no concern."""
    step = float((gain * seen.largest).max())
    reads = columns / gain
    rounding = step**2 * float(np.square(reads).sum())
    if depthwise:
        return rounding
    return rounding + float(np.square(reads.max(axis=1)).sum()) * float((gain**2 * seen.power).sum())


def _try(
    graph: Graph,
    trials: Mapping[Node, tuple[_Trial, _Trial]],
    seen: Mapping[Node, _Seen],
    choosing: Feed,
    deciding: Feed,
    context: Any,
) -> None:
    """Round the inputs of the layers to 8 bits, over a range that some pictures choose, on others."""
    tried = {layer: seen[layer] for layer in trials}
    for layer, x, _, _ in _arrays(graph, tried, choosing, context):
        for trial in trials[layer]:
            own = Statistics.of(x * _along(trial.gain, x))
            trial.seen = own if trial.seen is None else trial.seen.merge(own)
    ranges = {trial: mse(trial.seen) for pair in trials.values() for trial in pair if trial.seen}
    for layer, x, _, share in _arrays(graph, tried, deciding, context):
        for trial in trials[layer]:
            low, high = min(ranges[trial][0], 0.0), max(ranges[trial][1], 0.0)
            step = max(high - low, 1e-30) / LEVELS
            gained = x * _along(trial.gain, x)
            wrong = np.clip(np.rint(gained / step) * step, low, high) - gained
            error = np.square(wrong).mean(axis=_all_but_channels(x), dtype=np.float64) * share
            trial.error = error if trial.error is None else trial.error + error


def _error(layer: Node, weight: Array, trial: _Trial, seen: _Seen) -> float:
    """The error of a layer's output, as a part of its power."""
    assert trial.error is not None
    columns = _columns(layer, weight) / trial.gain
    total = float((np.square(columns).sum(axis=0) * trial.error).sum())
    if weight.shape[1] > 1:
        power = float((trial.gain**2 * seen.power).sum())
        total += float(np.square(columns.max(axis=1)).sum()) / 127**2 / 12 * power
    return total / max(seen.output * len(weight), 1e-30)


def _along(gain: Array, x: Array) -> Array:
    return gain.astype(np.float32).reshape((1, -1) + (1,) * (x.ndim - 2))
