"""How much each unit of channels matters: the lower the score, the sooner it goes.

A unit's score is the mean over its channels, in all layers (or, for `bn`, all BatchNorms) that have a part in it.

- bn: absolute BatchNorm scale (Liu et al., Learning efficient convolutional networks through network slimming, 2017);
- conv_all, conv_avg, conv_max: sum, mean and maximum of a filter's absolute weights;
- conv_threshold: how many of a filter's weights exceed 0.06 in absolute value;
- random: drawn;
- taylor: squared change of the loss to first order, (sum of weight * gradient)^2, summed over batches (Molchanov et
  al., Importance estimation for neural network pruning, 2019);
- fpgm: sum of the distances to the layer's other filters: small near their geometric median, where a filter is
  replaceable (He et al., Filter pruning via geometric median, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable

import mxnet as mx
import numpy as np
from mxnet import autograd
from scipy.spatial.distance import cdist

from mrt import ops
from mrt.compress.groups import ChannelGroups
from mrt.graph import Array, Node
from mrt.graph.attrs import flag
from mrt.train import GraphLearner, cross_entropy

_LARGE = 0.06
_OF_FILTERS: dict[str, Callable[[Array], Array]] = {
    "conv_all": lambda filters: np.abs(filters).sum(axis=1),
    "conv_avg": lambda filters: np.abs(filters).mean(axis=1),
    "conv_max": lambda filters: np.abs(filters).max(axis=1),
    "conv_threshold": lambda filters: (np.abs(filters) > _LARGE).sum(axis=1),
    "fpgm": lambda filters: cdist(filters, filters).sum(axis=1),
}


def scores(
    groups: ChannelGroups, method: str, batches: Callable[[], Iterable[tuple[Array, Array]]], seed: int = 0
) -> Array:
    """A score for every unit, by number; not a number where the method says nothing of it.

    Args:
        groups: of the network.
        method: one of those above.
        batches: preprocessed pictures with labels, for `taylor`.
        seed: for `random`.
    """
    if method == "random":
        return np.random.default_rng(seed).random(groups.unit_count)
    total, count = np.zeros(groups.unit_count), np.zeros(groups.unit_count)

    def add(units: Array, values: Array) -> None:
        np.add.at(total, units, values)
        np.add.at(count, units, 1)

    if method == "bn":
        for node, needs in groups.needs.items():
            if ops.of(node).normalizes and not flag(node, "fix_gamma", True):
                for position, _, ids in needs.cuts:
                    if position == 1:
                        gamma = groups.graph.params[node.inputs[1].node.name]
                        add(groups.units_of(ids), np.abs(gamma.astype(np.float64)))
    else:
        gradients = _taylor(groups, batches()) if method == "taylor" else {}
        for layer in groups.layers:
            if groups.graph.constant(layer.inputs[1]) is None:
                continue
            values = gradients[layer] if method == "taylor" else _OF_FILTERS[method](filters_of(groups, layer))
            add(groups.layer_units(layer), values)
    with np.errstate(invalid="ignore"):
        found: Array = total / count
    return found


def filters_of(groups: ChannelGroups, layer: Node) -> Array:
    """A layer's weights, a row for each channel that it makes."""
    return _rows(groups.graph.params[layer.inputs[1].node.name].astype(np.float64), layer)


def _rows(weight: Array, layer: Node) -> Array:
    operator = ops.layer(layer)
    assert operator is not None
    return operator.filters(layer, weight)


def _taylor(groups: ChannelGroups, batches: Iterable[tuple[Array, Array]]) -> Mapping[Node, Array]:
    learner = GraphLearner(groups.graph)
    objective = cross_entropy(learner)
    found = {layer: np.zeros(len(ids)) for layer, ids in groups.layers.items()}
    for pictures, labels in batches:
        with autograd.record(train_mode=False):
            loss = objective(pictures, labels).mean()
        loss.backward()
        mx.nd.waitall()
        for layer, sums in found.items():
            array = learner.learned.get(layer.inputs[1].node.name)
            if array is not None:
                product = array.asnumpy().astype(np.float64) * array.grad.asnumpy()
                sums += np.square(_rows(product, layer).sum(axis=1))
    return found
