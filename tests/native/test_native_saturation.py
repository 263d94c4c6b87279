"""Products at their largest: instructions that add two of them in 16 bits would saturate there."""

from __future__ import annotations

import numpy as np
import pytest
from cvm import Model, Node
from native_compare import check, each_kernels

WEIGHTS = {
    "all as large as can be": lambda rng, shape: rng.choice([-127, 127], shape),
    "all of one sign": lambda rng, shape: np.full(shape, 127),
    "two that just fit": lambda rng, shape: rng.choice([-64, 64], shape),
    "some that just do not fit": lambda rng, shape: rng.choice([-65, -64, -1, 0, 1, 63, 64, 65], shape),
    "few large ones": lambda rng, shape: np.clip(np.rint(rng.normal(0, 35, shape)), -127, 127),
    "most large": lambda rng, shape: rng.integers(-127, 128, shape),
}
each_weights = pytest.mark.parametrize("kind", WEIGHTS)


def convolution(weights: np.ndarray, shape: tuple[int, ...], **attrs: object) -> Model:
    attrs |= {"channels": weights.shape[0], "kernel_size": weights.shape[2:], "use_bias": False}
    nodes = [
        Node("null", "data"),
        Node("null", "w"),
        Node("conv2d", "y", ((0, 0), (1, 0)), {key: str(value) for key, value in attrs.items()}),
    ]
    return Model(nodes, [(2, 0)], {"w": weights}, {"data": 8, "w": 8}, shape)


@each_kernels
@each_weights
def test_each_channel_meets_its_largest_and_its_least_sum(kernels: str, kind: str, tmp_path) -> None:
    outputs, inputs = 53, 70
    weights = WEIGHTS[kind](np.random.default_rng(3), (outputs, inputs)).astype(np.int32)
    most = 127 * np.where(weights < 0, -1, 1).T
    x = np.stack([most, -most], axis=1)[None]  # a pixel for each channel in a row, and its opposite below
    model = convolution(weights[:, :, None, None], x.shape)
    (y,) = check(tmp_path, model, x, kernels=kernels)
    assert (y[0, range(outputs), 0, range(outputs)] == 127 * np.abs(weights).sum(axis=1)).all()


@each_kernels
@each_weights
@pytest.mark.parametrize("groups", [1, 40])
def test_each_window_has_the_signs_of_its_weights(kernels: str, kind: str, groups: int, tmp_path) -> None:
    channels = 40
    weights = WEIGHTS[kind](np.random.default_rng(4), (channels, channels // groups, 3, 3)).astype(np.int32)
    most = 127 * np.where(weights < 0, -1, 1)
    most = most.reshape(1, channels, 3, 3) if groups > 1 else most[:1]
    x = np.concatenate([most, -most, most[..., ::-1]], axis=3)
    check(tmp_path, convolution(weights, x.shape, groups=groups, strides=(3, 3)), x, kernels=kernels)
