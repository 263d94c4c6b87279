"""Joined branches of different size behind functions, gates and sums, of several readers, by the shipped recipe."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from operator_cases import conv, relu
from toolchain import check, compile_network, random_network

from mrt.graph import Graph

sym = mx.sym
PICTURE = (-1, 3, 8, 8)
HALF = 8
Way = Callable[[Any], Any]


def same(x: Any) -> Any:
    return x


def swish(x: Any) -> Any:
    return x * sym.sigmoid(x)


def hard_swish(x: Any) -> Any:
    return x * (sym.clip(x + 3, 0, 6) / 6)


def elu(x: Any) -> Any:
    return sym.LeakyReLU(x, act_type="elu", slope=1.0)


def gelu(x: Any) -> Any:
    return sym.LeakyReLU(x, act_type="gelu")


def gated(x: Any) -> Any:
    """Squeeze and excite."""
    squeezed = relu(point(sym.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="avg"), 4, "squeeze"))
    return sym.broadcast_mul(x, sym.sigmoid(point(squeezed, 2 * HALF, "excite")))


def point(x: Any, filters: int, name: str) -> Any:
    return conv(x, filters, kernel=(1, 1), pad=(0, 0), name=name)


def mean(x: Any) -> Any:
    return sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")


def last(x: Any) -> Any:
    return conv(x, 16, name="last")


def two_readers(x: Any) -> Any:
    return last(x) + conv(x, 16, name="beside")


def readers_of_parts(x: Any) -> Any:
    """Each of the lower or upper three quarters of the channels."""
    lower = sym.slice_axis(x, axis=1, begin=0, end=12)
    return sym.Concat(conv(lower, 8, name="last"), conv(sym.slice_axis(x, axis=1, begin=4, end=16), 8, name="beside"))


def block(x: Any) -> Any:
    """A residual block, whose branch has the sizes of what it is added to."""
    return conv(x + conv(relu(last(x)), 16, name="sized"), 16, name="beside")


FUNCTIONS: dict[str, Way] = {
    "relu": relu,
    "relu6": lambda x: sym.clip(x, 0, 6),
    "swish": swish,
    "hard swish": hard_swish,
    "elu": elu,
    "gelu": gelu,
    "tanh": sym.tanh,
}
AFTER: dict[str, Way] = {
    "": last,
    "gate": lambda x: last(gated(x)),
    "mean pooling": lambda x: last(mean(x)),
    "gate, mean pooling": lambda x: last(mean(gated(x))),
    "two readers": two_readers,
    "readers of parts": readers_of_parts,
    "residual block": block,
}


def uneven(symbol: Any, ratio: float) -> Graph:
    """The network with the second branch smaller by the ratio.

    `squeeze`, `last` and `beside`, which read the branches, make up for the sizes; `sized` has them.
    """
    random = random_network(symbol, PICTURE)
    params = dict(random.params)
    sizes = np.repeat(np.array([1, 1 / ratio], np.float32), HALF)
    for part in ("weight", "bias"):
        params[f"branch1_{part}"] = params[f"branch1_{part}"] / np.float32(ratio)
        if f"sized_{part}" in params:
            own = params[f"sized_{part}"]
            params[f"sized_{part}"] = own * sizes.reshape((-1,) + (1,) * (own.ndim - 1))
    for layer in ("squeeze", "last", "beside"):
        if f"{layer}_weight" in params:
            own = params[f"{layer}_weight"]
            count = own.shape[1]
            read = sizes[-count:] if layer == "beside" else sizes[:count]
            params[f"{layer}_weight"] = own / read[:, None, None]
    return Graph(random.outputs, params, random.inputs)


def branches(x: Any, function: Way) -> Any:
    return sym.Concat(*(function(conv(x, HALF, name=f"branch{index}")) for index in range(2)))


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_before_the_join(function: str, after: str) -> None:
    joined = branches(sym.Variable("data"), FUNCTIONS[function])
    check(compile_network(uneven(AFTER[after](joined), 1000)), 30.0)


@pytest.mark.parametrize("after", ["", "gate", "two readers"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_after_the_join(function: str, after: str) -> None:
    joined = branches(sym.Variable("data"), same)
    check(compile_network(uneven(AFTER[after](FUNCTIONS[function](joined)), 1000)), 30.0)


@pytest.mark.parametrize("ratio", [1, 30, 100])
@pytest.mark.parametrize("after", AFTER)
def test_smaller_ratios(after: str, ratio: float) -> None:
    check(compile_network(uneven(AFTER[after](branches(sym.Variable("data"), swish)), ratio)), 30.0)


@pytest.mark.parametrize("ratio", [1, 30, 1000])
def test_a_sum_of_a_join_and_a_layer(ratio: float) -> None:
    x = sym.Variable("data")
    total = relu(branches(x, relu) + conv(x, 16, name="sized"))
    check(compile_network(uneven(last(total), ratio)), 30.0)
