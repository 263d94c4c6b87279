"""What 8 bits of a layer's input, or of its weights, cost at the layer's output.

A layer that reads x with the weights W gives W Q(x) instead of W x once x is quantized, with Q the rounding and
saturation of the form in which it is read. The cost is |c(W Q(x) + b) - c(W x + b)|^2 / |c(W x + b)|^2 on calibration
pictures, with c what the only reader clamps the output to, if it does: what is beyond that hides errors. Where nothing
else is made of the output than y / (y + k), with a small k, c is that, too: all but a step at 0, it makes much of the
smallest errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
from cvm.quantization import dequantize, quantize

from mrt import ops
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import flag
from mrt.integer.layer import WEIGHT_LIMIT, weight_steps
from mrt.integer.qvalue import Target
from mrt.reproducible import matmul

WEIGHTS = "weights"


def input_costs(
    graph: Graph, targets: Mapping[str, Mapping[Node, Target]], inputs: Iterable[tuple[Node, Array]]
) -> dict[Node, dict[str, float]]:
    """The cost at the output of each layer, for each of several choices by name; under `WEIGHTS`, that of its weights.

    Args:
        graph: the prepared network.
        targets: the form in which each layer reads its input, for each choice.
        inputs: patches of the layers' inputs, as `mrt.calibrate.gather.layer_patches` gives them.
    """
    layers = next(iter(targets.values()))
    seen = _seen(graph, layers)
    signal = dict.fromkeys(layers, 0.0)
    noise = {layer: dict.fromkeys((*targets, WEIGHTS), 0.0) for layer in layers}
    for layer, patches in inputs:
        weight = graph.params[layer.inputs[1].node.name]
        bias = np.zeros(len(weight), np.float32)
        if not flag(layer, "no_bias", False):
            bias = graph.params[layer.inputs[2].node.name]
        weight = weight.reshape(len(patches), -1, patches.shape[2]).transpose(0, 2, 1)
        added = bias.reshape(len(patches), 1, -1)
        output = seen[layer](matmul(patches, weight, slices=1) + added)
        signal[layer] += _energy(output)
        step = weight_steps(weight.transpose(0, 2, 1).reshape(-1, weight.shape[1]))
        step = step.reshape(len(patches), 1, -1).astype(np.float32)
        rounded = np.clip(np.rint(weight / step), -WEIGHT_LIMIT, WEIGHT_LIMIT) * step
        noise[layer][WEIGHTS] += _energy(seen[layer](matmul(patches, rounded, slices=1) + added) - output)
        known: dict[Target, float] = {}
        for name, target_of in targets.items():
            target = target_of[layer]
            if target not in known:
                found = seen[layer](matmul(_quantized(patches, target), weight, slices=1) + added)
                known[target] = _energy(found - output)
            noise[layer][name] += known[target]
    return {layer: {name: cost / max(signal[layer], 1e-30) for name, cost in noise[layer].items()} for layer in layers}


def steep_readers(graph: Graph, layers: Iterable[Node]) -> dict[Node, float]:
    """The layers, clamped to what is not negative, of which nothing but y / (y + k) is made, and k."""
    consumers = graph.consumers()
    found = {}
    for layer, (low, _) in clamps(graph, layers).items():
        value = Value(layer)
        if low >= 0:
            value = Value(consumers[value][0])
        readers = {node.op: node for node in consumers.get(value, ())}
        if low < 0 or set(readers) != {"broadcast_add", "broadcast_div"} or value in graph.outputs:
            continue
        added, divided = readers["broadcast_add"], readers["broadcast_div"].inputs
        k = graph.constant(added.inputs[1])
        if divided == (value, Value(added)) and k is not None and k.min() > 0:
            found[layer] = float(k.min())
    return found


def _seen(graph: Graph, layers: Iterable[Node]) -> dict[Node, Callable[[Array], Array]]:
    """What is made of the output of each layer, as far as that bears on its errors."""
    bounds, steep = clamps(graph, layers), steep_readers(graph, layers)

    def through(output: Array, layer: Node) -> Array:
        clamped: Array = np.clip(output, *bounds[layer])
        return clamped / (clamped + np.float32(steep[layer])) if layer in steep else clamped

    return {layer: partial(through, layer=layer) for layer in layers}


def clamps(graph: Graph, layers: Iterable[Node]) -> dict[Node, tuple[float, float]]:
    """What each layer's only reader clamps its output to."""
    consumers, uses = graph.consumers(), graph.use_counts()
    found = {}
    for layer in layers:
        readers = consumers.get(Value(layer), ())
        clamp = ops.get(readers[0].op).bounds(readers[0]) if readers and uses[Value(layer)] == 1 else None
        found[layer] = clamp or (-np.inf, np.inf)
    return found


def _quantized(real: Array, target: Target) -> Array:
    scale = float(target.scale)
    integers = quantize(real, scale, target.offset, target.precision)
    return dequantize(integers, scale, target.offset).astype(real.dtype)


def _energy(array: Array) -> float:
    return float(np.sum(np.square(array), dtype=np.float64))
