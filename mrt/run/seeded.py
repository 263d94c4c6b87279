"""Gives a network seeded weights, for structural runs: where the trained weights are not to be had.

Weights of layers are drawn as by He et al., Delving deep into rectifiers (2015): normal with variance 2 / fan-in. The
statistics of every BatchNorm are then those of its own input on real pictures, so that activations have the spread
that they have in a trained network. Such a network shows how closely its integer form follows it; it classifies
nothing.

Three choices keep it from being chaotic, which trained networks are not:

- betas are around 0.5, not 0: at 0, each BatchNorm and ReLU multiplies any relative perturbation's power by
  pi / (pi - 1), whatever its cause (Yang et al., A mean field theory of batch normalization, 2019);
- residual branches are scaled by 1/2, since training, too, leaves blocks near the identity (De and Smith, Batch
  normalization biases residual blocks towards the identity function in deep networks, 2020): of noise in the input, a
  trained MobileNetV2 passes 12 times its relative power to the logits, one with random weights and whole branches 19
  times, with halved ones 8 times, and a ResNet-152 v2 220 and 37 times;
- neighbouring taps of depthwise filters are alike, as in trained ones (Trockman et al., Understanding the covariance
  structure of convolutional filters, 2023): nine independent taps mostly keep what is rough in a smooth picture.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from mrt import ops
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.executors.training import training_mode
from mrt.graph import Array, Graph, Node, Shape, Value
from mrt.graph.attrs import number
from mrt.graph.batch import Feed
from mrt.integer.row_blocks import row_blocks

_BIAS_STD = 0.1
_DEPTHWISE_WIDTH = 1.0  # of the covariance between taps, in taps
_BETA_MEAN, _BETA_STD = 0.5, 0.25
_GAMMA_RANGE = (0.5, 1.5)
_BRANCH = np.float32(0.5)
_GAMMA, _BETA, _MEAN, _VARIANCE = 1, 2, 3, 4


def structural_network(network: Graph, pictures: Feed, seed: int = 0) -> Graph:
    """The network with seeded weights and with BatchNorm statistics fitted on pictures.

    The same seed gives the same weights everywhere; a parameter's values depend on its name and shape only.

    Args:
        network: float network; parameters of other operators (anchors, embeddings) are kept.
        pictures: preprocessed input (n, …), all of which go through the network at once.

    Raises:
        MRTError: activations are not finite.
    """
    return fit_batch_norm(seed_weights(network, seed), pictures)


def seed_weights(network: Graph, seed: int = 0) -> Graph:
    """The network with weights, biases, gammas and betas drawn anew."""
    params = dict(network.params)

    def rng(name: str) -> np.random.Generator:
        return np.random.default_rng([seed, zlib.crc32(name.encode())])

    for node in network.nodes():
        names = [value.node.name for value in node.inputs]
        if ops.layer(node):
            weight = params[names[1]]
            params[names[1]] = _weight(weight.shape, rng(names[1]))
            for bias in names[2:]:
                params[bias] = rng(bias).normal(0, _BIAS_STD, params[bias].shape).astype(np.float32)
        elif ops.of(node).normalizes:
            gamma, beta = names[_GAMMA], names[_BETA]
            params[gamma] = rng(gamma).uniform(*_GAMMA_RANGE, params[gamma].shape).astype(np.float32)
            params[beta] = rng(beta).normal(_BETA_MEAN, _BETA_STD, params[beta].shape).astype(np.float32)
    for node in _branch_ends(network):
        for value in node.inputs[1:3]:
            params[value.node.name] = params[value.node.name] * _BRANCH
    return Graph(network.outputs, params, network.inputs)


def _branch_ends(network: Graph) -> list[Node]:
    """The last layer or BatchNorm of each residual branch: of what an addition adds to a path with fewer layers."""
    depth: dict[Node, int] = {}
    uses = network.use_counts()
    ends: dict[Node, None] = {}
    for node in network.nodes():
        depth[node] = max((depth[value.node] for value in node.inputs), default=0) + (ops.layer(node) is not None)
        if not ops.of(node).adds or len(node.inputs) != 2:
            continue
        shorter, longer = sorted(node.inputs, key=lambda value: depth[value.node])
        while ops.of(longer.node).passes_factors and uses[longer] == 1:
            longer = longer.node.inputs[0]
        ends_branch = ops.layer(longer.node) is not None or ops.of(longer.node).normalizes
        if depth[shorter.node] < depth[longer.node] and ends_branch and uses[longer] == 1:
            ends[longer.node] = None
    return list(ends)


def _weight(shape: Shape, rng: np.random.Generator) -> Array:
    """A layer's weights (O, I, …): independent, but for neighbouring taps of depthwise filters, which are alike."""
    std = (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
    weight = np.empty((shape[0], int(np.prod(shape[1:]))), np.float32)
    for rows in row_blocks(weight):
        weight[rows] = rng.normal(0, std, weight[rows].shape)
    if len(shape) == 4 and shape[1] == 1 and shape[2:] != (1, 1):
        taps = np.stack(np.meshgrid(*map(np.arange, shape[2:]), indexing="ij"), axis=-1).reshape(-1, 2)
        distance = np.sum(np.square(taps[:, None] - taps[None]), axis=-1)
        root = np.linalg.cholesky(np.exp(-distance / (2 * _DEPTHWISE_WIDTH**2)))
        weight = (weight @ root.T).astype(np.float32)
    return weight.reshape(shape)


def fit_batch_norm(network: Graph, pictures: Feed) -> Graph:
    """The network with moving means and variances that are those of the pictures.

    One pass in training mode does it: there, each BatchNorm normalises by the batch's own statistics, so what reaches
    the next one is already as it will be at inference.

    Raises:
        MRTError: a statistic is not finite.
    """
    found: list[Node] = []

    def visit(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        if ops.of(node).drops:
            return [inputs[0]]
        if not ops.of(node).normalizes:
            return None
        norm = replace(node, inputs=inputs, attrs={**node.attrs, "output_mean_var": "True"})
        found.append(norm)
        return [Value(norm)]

    training = network.rebuild(visit)
    if not found:
        return network
    statistics = [Value(norm, index) for norm in found for index in (1, 2)]
    executor = Executor(training, statistics)
    with training_mode():
        arrays = executor(pictures)
    params = dict(network.params)
    for norm, mean, inverse_deviation in zip(found, arrays[0::2], arrays[1::2]):
        names = [value.node.name for value in norm.inputs]
        deviation = 1.0 / np.maximum(inverse_deviation.astype(np.float64), np.finfo(np.float64).tiny)
        variance = np.square(deviation) - number(norm, "eps", 1e-3)
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise MRTError(f"node {norm.name}: takes values that are not finite with random weights")
        params[names[_MEAN]] = mean
        params[names[_VARIANCE]] = np.maximum(variance, 0.0).astype(np.float32)
    return Graph(network.outputs, params, network.inputs)
