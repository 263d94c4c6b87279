"""Whether samples that are run together give what each of them gives alone: part of `free_batch`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrt import ops
from mrt.errors import MRTError
from mrt.executors.child import attempt
from mrt.executors.mxnet import Executor
from mrt.graph import Array, Graph, Value

_SECONDS = 60.0
_TOLERANCE, _PART = 1e-3, 0.99


def samples_apart(graph: Graph, count: int) -> bool:
    """Whether samples that are run together give what each of them gives alone, as far as random ones show."""
    return attempt(lambda: _require_apart(graph, count), _SECONDS) is None


def _require_apart(graph: Graph, count: int) -> None:
    """Raise where they do not."""
    random = np.random.default_rng(0)
    data = {name: random.standard_normal(shape, np.float32) for name, shape in graph.input_shapes(count).items()}
    parts = {name: np.split(array, count, graph.inputs[name].index(-1)) for name, array in data.items()}
    params = {**graph.params, **_random_weights(graph, random)}
    run = Executor(Graph(graph.outputs, params, graph.inputs), _before_selection(graph))
    together, alone = run(data), [run({name: cut[i] for name, cut in parts.items()}) for i in range(count)]
    for output, *each in zip(together, *alone):
        if not _same(output, each):
            raise MRTError("samples depend on each other")


def _before_selection(graph: Graph) -> list[Value]:
    """The outputs, or instead of what a detection head has selected, what it selects from: ties fall either way."""
    selecting = [node for node in graph.nodes() if ops.of(node).selects]
    selected = set(selecting)
    for node in graph.nodes():
        if any(value.node in selected for value in node.inputs):
            selected.add(node)
    dynamic = graph.dynamic()
    read = [value for node in selecting for value in node.inputs if value.node in dynamic - selected]
    return [*(value for value in graph.outputs if value.node not in selected), *dict.fromkeys(read)]


def _random_weights(graph: Graph, random: np.random.Generator) -> dict[str, Array]:
    """Weights for the layers, by which samples that meet show: trained ones may be zero."""
    found: dict[str, Array] = {}
    for node in graph.nodes():
        array = graph.constant(node.inputs[1]) if ops.layer(node) else None
        if array is not None:
            fan_in = max(1, int(np.prod(array.shape[1:])))
            found[node.inputs[1].node.name] = random.standard_normal(array.shape, np.float32) / np.float32(fan_in**0.5)
    return found


def _same(together: Array, parts: Sequence[Array]) -> bool:
    """Whether an output is those of the samples, along one axis; with several entries of each in either order."""
    changed = [axis for axis, (a, b) in enumerate(zip(parts[0].shape, together.shape)) if a != b]
    if len(changed) != 1:
        return False
    joined = [np.concatenate(parts, changed[0]), np.stack(parts, changed[0] + 1).reshape(together.shape)]
    return any(_close(together, expected) for expected in joined)


def _close(a: Array, b: Array) -> bool:
    """Up to rounding; one entry in a hundred may differ, as detections of all but the same score do."""
    if a.shape != b.shape:
        return False
    largest = max(float(np.max(np.abs(b), initial=0.0)), 1e-12)
    return bool(np.quantile(np.abs(a.astype(np.float64) - b), _PART) <= _TOLERANCE * largest)
