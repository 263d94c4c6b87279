"""Small symbols for the graph's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mxnet as mx
import numpy as np

from mrt.frontends.mxnet import from_symbol
from mrt.graph import Array, Graph, Shape

sym = mx.sym


def digits_like() -> Any:
    """A small CNN with BatchNorm, shared tensors, several outputs of one operator, and constants."""
    x = sym.Variable("data")
    x = sym.Convolution(x, num_filter=6, kernel=(3, 3), pad=(1, 1), no_bias=True, name="conv0")
    x = sym.Activation(sym.BatchNorm(x, fix_gamma=False, name="bn0"), act_type="relu", name="relu0")
    parts = sym.SliceChannel(x, num_outputs=2, axis=1, name="parts")
    x = sym.Concat(parts[1], parts[0] * 2 + 1, parts[1], dim=1, name="concat0")
    x = sym.Pooling(x, pool_type="max", kernel=(2, 2), stride=(2, 2), name="pool0")
    return sym.FullyConnected(x, num_hidden=10, name="dense0")


def from_parameters(symbol: Any, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> Graph:
    """The graph of a symbol with float32 parameters."""
    arrays: dict[str, Array] = {name: np.asarray(value, np.float32) for name, value in params.items()}
    return from_symbol(symbol, arrays, inputs)
