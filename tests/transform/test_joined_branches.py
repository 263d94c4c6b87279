"""Joined branches of different size, for which the weights that read them make up, through the shipped recipe."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from operator_cases import conv, dense, relu
from toolchain import check, compile_network, random_network

from mrt.graph import Array, Graph

sym = mx.sym
PICTURE = (-1, 3, 8, 8)
CHANNELS = 16
Way = Callable[[Any], Any]


def shuffle(x: Any) -> Any:
    parted = sym.Reshape(x, shape=(0, -4, 2, -1, -2))
    return sym.Reshape(sym.transpose(parted, axes=(0, 2, 1, 3, 4)), shape=(0, -3, -2))


def shuffle_flat(x: Any) -> Any:
    """By swapping axes, with the pixels on one."""
    parted = sym.SwapAxis(sym.Reshape(x, shape=(0, 4, -1, 64)), dim1=1, dim2=2)
    return sym.Reshape(parted, shape=(0, CHANNELS, 8, 8))


def last(x: Any, **more: Any) -> Any:
    return conv(x, 16, name="last", **more)


def last_dense(x: Any) -> Any:
    return dense(x, 10, name="last")


def norm(x: Any) -> Any:
    return sym.BatchNorm(x, fix_gamma=False, name="norm")


WAYS: dict[str, tuple[Way, Way]] = {
    "nothing": (lambda x: x, last),
    "relu": (relu, last),
    "shuffle": (shuffle, last),
    "shuffle by swapping axes": (shuffle_flat, last),
    "shuffle, groups": (shuffle, lambda x: last(x, num_group=2)),
    "shuffle, relu, slice": (lambda x: sym.slice_axis(relu(shuffle(x)), axis=1, begin=3, end=12), last),
    "shuffle, flatten": (lambda x: sym.Flatten(shuffle(x)), last_dense),
    "max pooling": (lambda x: sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max"), last),
    "mean pooling": (lambda x: sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"), last),
    "slice of channels": (lambda x: sym.slice_axis(x, axis=1, begin=2, end=12), last),
    "slice of pixels": (lambda x: sym.slice_axis(x, axis=2, begin=1, end=7), last),
    "flatten": (sym.Flatten, last_dense),
    "channels last, flatten": (lambda x: sym.Flatten(sym.transpose(x, axes=(0, 2, 3, 1))), last_dense),
    "depthwise": (lambda x: x, lambda x: last(x, num_group=CHANNELS)),
    "reversed": (lambda x: sym.reverse(x, axis=1), last),
    "mirrored border": (lambda x: sym.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)), last),
    "enlarged": (lambda x: sym.contrib.BilinearResize2D(x, height=12, width=12), last),
}


def joined(count: int) -> Any:
    """Branches beside each other, of 16 channels in all."""
    data, ends = sym.Variable("data"), np.linspace(0, CHANNELS, count + 1).astype(int)
    return sym.Concat(*(relu(conv(data, int(n), name=f"branch{i}")) for i, n in enumerate(np.diff(ends))))


def resized(symbol: Any, between: Way, ratio: float, count: int) -> Graph:
    """The network with branches that get smaller, the last by a ratio; its last layer makes up for that."""
    network = random_network(symbol, PICTURE)
    params, sizes = dict(network.params), []
    for i in range(count):
        size = np.float32(ratio ** (-i / (count - 1)))
        sizes += [size] * len(params[f"branch{i}_bias"])
        for part in ("weight", "bias"):
            params[f"branch{i}_{part}"] = params[f"branch{i}_{part}"] * size
    params["last_weight"] = params["last_weight"] / read_sizes(between, np.array(sizes), params["last_weight"])
    return Graph(network.outputs, params, network.inputs)


def read_sizes(between: Way, sizes: Array, weight: Array) -> Array:
    """The size of what each weight of the last layer reads, of channels of these sizes."""
    x = mx.nd.array(np.broadcast_to(sizes.reshape(1, -1, 1, 1), (1, CHANNELS, 8, 8)))
    read = between(sym.Variable("x")).bind(mx.cpu(), {"x": x}).forward()[0].asnumpy()
    if weight.ndim == 2:
        return read
    by_group = read[0].max(axis=(1, 2)).reshape(-1, weight.shape[1])
    return np.repeat(by_group, len(weight) // len(by_group), axis=0)[:, :, None, None]


@pytest.mark.parametrize("ratio", [1, 30, 100, 1000])
@pytest.mark.parametrize("way", WAYS)
def test_two_branches(way: str, ratio: float) -> None:
    between, reader = WAYS[way]
    check(compile_network(resized(reader(between(joined(2))), between, ratio, 2)), 30.0)


@pytest.mark.parametrize("ratio", [1, 30, 100, 1000])
@pytest.mark.parametrize("way", ["nothing", "shuffle", "flatten"])
def test_three_branches(way: str, ratio: float) -> None:
    between, reader = WAYS[way]
    check(compile_network(resized(reader(between(joined(3))), between, ratio, 3)), 30.0)


@pytest.mark.parametrize("ratio", [1, 30, 100, 1000])
def test_a_norm_that_makes_up_for_it(ratio: float) -> None:
    """Its variances are those of what it reads."""
    network = random_network(last(relu(norm(joined(2)))), PICTURE)
    params = dict(network.params)
    for part in ("weight", "bias"):
        params[f"branch1_{part}"] = params[f"branch1_{part}"] / ratio
    params["norm_moving_mean"][CHANNELS // 2 :] /= ratio
    params["norm_moving_var"][CHANNELS // 2 :] /= ratio**2
    check(compile_network(Graph(network.outputs, params, network.inputs)), 30.0)
