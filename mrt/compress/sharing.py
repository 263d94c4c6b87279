"""Deep compression of an integer network's weights (Han, Mao and Dally, 2016): few of them, of few values.

Which weights stay: the largest of each layer, compared over layers by LAMP (Lee et al., Layer-adaptive sparsity for
the magnitude-based pruning, 2021): w^2 / sum of the squares of the layer's weights that are not smaller. Which values
a layer's share: the means of k-means clusters, begun evenly from the least to the largest, since the few large ones
matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.cluster import KMeans

from mrt.compress.trainable import Constants
from mrt.graph import Array


def thinned(layers: Sequence[Constants], params: Mapping[str, Array], density: float) -> list[Constants]:
    """The layers with `kept`: the share `density` of all their weights stays; no channel of outputs is emptied.

    Args:
        layers: of an integer network.
        params: its parameters.
        density: of the weights that stay, 0 to 1.
    """
    squares = [_real(layer, params) ** 2 for layer in layers]
    scores = [_lamp(square) for square in squares]
    every = np.concatenate([score.reshape(-1) for score in scores])
    count = max(1, round(density * len(every)))
    bound = np.partition(every, len(every) - count)[len(every) - count]
    found = []
    for layer, score, square in zip(layers, scores, squares):
        kept = score >= bound
        rows = square.reshape(len(square), -1)
        kept.reshape(len(square), -1)[np.arange(len(square)), rows.argmax(axis=1)] = True
        found.append(replace(layer, kept=kept & (params[layer.weight] != 0)))
    return found


def shared(layers: Sequence[Constants], params: Mapping[str, Array], bits: int) -> list[Constants]:
    """The layers with `clusters`: which of 2^bits values each weight has; those that are 0 stay 0 and take none.

    Args:
        layers: of an integer network; `kept` where weights were taken away.
        params: its parameters.
        bits: 1 to 8.
    """
    found = []
    for layer in layers:
        weight = params[layer.weight]
        kept = np.ones(weight.shape, bool) if layer.kept is None else layer.kept & (weight != 0)
        values, inverse, counts = np.unique(weight[kept], return_inverse=True, return_counts=True)
        clusters = np.zeros(weight.shape, np.int64)
        clusters[kept] = _clusters(values, counts, 2**bits)[inverse]
        found.append(replace(layer, kept=None if layer.kept is None else kept, clusters=clusters))
    return found


def _real(layer: Constants, params: Mapping[str, Array]) -> Array:
    """The weights in real proportion to each other: times their channels' multipliers."""
    weight = params[layer.weight].astype(np.float64)
    multiplier = np.broadcast_to(params[layer.multiplier].reshape(-1), (len(weight),))
    real: Array = weight * multiplier.reshape((-1,) + (1,) * (weight.ndim - 1))
    return real


def _lamp(squares: Array) -> Array:
    flat = squares.reshape(-1)
    order = np.argsort(-flat, kind="stable")
    scores = np.empty_like(flat)
    scores[order] = flat[order] / np.maximum(np.cumsum(flat[order]), np.finfo(float).tiny)
    return scores.reshape(squares.shape)


def _clusters(values: Array, counts: Array, most: int) -> Array:
    """The cluster of each of these different integers."""
    if len(values) <= most:
        return np.arange(len(values))
    start = np.linspace(values[0], values[-1], most).reshape(-1, 1)
    means = KMeans(most, init=start, n_init=1, tol=0)
    means.fit(values.reshape(-1, 1).astype(np.float64), sample_weight=counts)
    labels: Array = means.labels_.astype(np.int64)
    return np.unique(labels, return_inverse=True)[1]
