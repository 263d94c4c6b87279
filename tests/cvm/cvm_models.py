"""Small models for the tests."""

from __future__ import annotations

import numpy as np
from cvm import Model, Node

CONV = {"channels": "4", "kernel_size": "(3, 3)", "padding": "(1, 1)"}


def small(seed: int = 0, batch: int = 1) -> Model:
    """conv + bias, requantize, pool, dense: an 8-bit input of 3x8x8, ten outputs."""
    rng = np.random.default_rng(seed)

    def integers(bound, *shape):
        return rng.integers(-bound, bound + 1, shape).astype(np.int32)

    nodes = [
        Node("null", "data"),
        Node("null", "w"),
        Node("null", "b"),
        Node("conv2d", "conv", ((0, 0), (1, 0), (2, 0)), CONV),
        Node("relu", "relu", ((3, 0),)),
        Node("cvm_right_shift", "shift", ((4, 0),), {"precision": "8", "shift_bit": "9"}),
        Node("max_pool2d", "pool", ((5, 0),), {"pool_size": "(2, 2)", "strides": "(2, 2)"}),
        Node("flatten", "flat", ((6, 0),)),
        Node("null", "units"),
        Node("dense", "fc", ((7, 0), (8, 0)), {"units": "10", "use_bias": "False"}),
    ]
    params = {"w": integers(127, 4, 3, 3, 3), "b": integers(8000, 4), "units": integers(127, 10, 64)}
    return Model(nodes, [(9, 0)], params, {"data": 8, "w": 8, "b": 14, "units": 8}, (batch, 3, 8, 8))


def chain(op: str, attrs: dict[str, str], shape=(1, 4), precision: int = 8) -> Model:
    """One operator on the input."""
    return Model([Node("null", "data"), Node(op, "y", ((0, 0),), attrs)], [(1, 0)], {}, {"data": precision}, shape)


def batch_of(model: Model, count: int, seed: int = 1) -> np.ndarray:
    """Random legal input."""
    bound = 2 ** (model.precisions["data"] - 1) - 1
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(seed).integers(-bound, bound + 1, shape).astype(np.int32)
