"""Operators together: the building blocks of real networks."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import pytest
from operator_cases import conv, dense, pool, relu
from toolchain import check, compile_network, random_network

from mrt.graph import Shape

sym = mx.sym
PICTURE = (-1, 3, 12, 12)


def norm(x: Any) -> Any:
    return sym.BatchNorm(x, fix_gamma=False)


def global_mean(x: Any) -> Any:
    return sym.Pooling(x, pool_type="avg", global_pool=True, kernel=(1, 1))


def residual(x: Any, channels: int, stride: int = 1) -> Any:
    inner = norm(conv(relu(norm(conv(x, channels, stride=(stride, stride)))), channels))
    short = x if stride == 1 else norm(conv(x, channels, (1, 1), (0, 0), stride=(stride, stride)))
    return relu(inner + short)


def hard_sigmoid(x: Any) -> Any:
    return sym.clip(x + 3, 0, 6) / 6


def hard_swish(x: Any) -> Any:
    return x * hard_sigmoid(x)


def squeeze_excite(x: Any, channels: int) -> Any:
    gate = conv(relu(conv(global_mean(x), 4, (1, 1), (0, 0))), channels, (1, 1), (0, 0))
    return sym.broadcast_mul(x, hard_sigmoid(gate))


def relu6(x: Any) -> Any:
    return sym.clip(x, 0, 6)


def inverted(x: Any, channels: int, stride: int = 1, wide: int = 12) -> Any:
    x_wide = relu6(norm(conv(x, wide, (1, 1), (0, 0), no_bias=True)))
    depthwise = relu6(norm(conv(x_wide, wide, num_group=wide, stride=(stride, stride), no_bias=True)))
    narrow = norm(conv(depthwise, channels, (1, 1), (0, 0), no_bias=True))
    return narrow + x if stride == 1 else narrow


def prelu(x: Any, channels: int, name: str) -> Any:
    return sym.LeakyReLU(x, sym.Variable(name, shape=(channels,)), act_type="prelu")


def resnet(x: Any) -> Any:
    stem = pool(relu(norm(conv(x, 8))), "max", (3, 3), pad=(1, 1))
    return dense(global_mean(residual(residual(residual(stem, 8), 8), 12, 2)), 10)


def densenet(x: Any) -> Any:
    for _ in range(3):
        x = sym.Concat(x, conv(relu(norm(x)), 4), dim=1)
    return dense(global_mean(relu(norm(x))), 10)


def mobilenet_v2(x: Any) -> Any:
    stem = relu6(
        norm(conv(sym.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, 0, 1, 0, 1)), 6, pad=(0, 0), stride=(2, 2)))
    )
    return dense(sym.Flatten(global_mean(relu6(norm(conv(inverted(inverted(stem, 6), 8, 2), 12))))), 10)


def mobilenet_v3(x: Any) -> Any:
    stem = hard_swish(norm(conv(x, 8, stride=(2, 2))))
    body = squeeze_excite(hard_swish(norm(conv(stem, 8, num_group=8))), 8)
    return dense(hard_swish(dense(global_mean(norm(conv(body, 8, (1, 1), (0, 0))) + stem), 16)), 10)


def prelu_cascade(x: Any) -> Any:
    x = prelu(conv(x, 6), 6, "slope0")
    x = pool(prelu(conv(x, 8), 8, "slope1"), "max", (2, 2), pooling_convention="full")
    x = prelu(conv(x, 8, pad=(0, 0)), 8, "slope2")
    return sym.Group([sym.softmax(conv(x, 2, (1, 1), (0, 0)), axis=1), conv(x, 4, (1, 1), (0, 0))])


def squeezenet(x: Any) -> Any:
    x = pool(relu(conv(x, 8, stride=(2, 2))), "max", (3, 3), pooling_convention="full")
    squeezed = relu(conv(x, 4, (1, 1), (0, 0)))
    expanded = sym.Concat(relu(conv(squeezed, 8, (1, 1), (0, 0))), relu(conv(squeezed, 8)), dim=1)
    return sym.softmax(sym.Flatten(global_mean(relu(conv(sym.Dropout(expanded), 10, (1, 1), (0, 0))))))


def inception(x: Any) -> Any:
    average = conv(pool(x, "avg", (3, 3), (1, 1), pad=(1, 1)), 4, (1, 1), (0, 0))
    factored = relu(conv(relu(conv(x, 4, (1, 7), (0, 3))), 4, (7, 1), (3, 0)))
    return dense(sym.Concat(relu(average), factored, pool(x, "max", (3, 3), (1, 1), pad=(1, 1)), dim=1), 10)


def shuffle(x: Any) -> Any:
    x = relu(conv(x, 8))
    x = sym.reshape(sym.swapaxes(sym.reshape(x, shape=(0, -4, 2, -1, -2)), dim1=1, dim2=2), shape=(0, -3, -2))
    left, right = sym.SliceChannel(x, num_outputs=2, axis=1)
    return dense(global_mean(sym.Concat(left, relu(conv(right, 4, num_group=4)), dim=1)), 10)


def swish_pyramid(x: Any) -> Any:
    fine = (lambda c: c * sym.sigmoid(c))(conv(x, 6))
    coarse = relu(conv(pool(fine, "max", (2, 2)), 6))
    merged = sym.UpSampling(coarse, scale=2, sample_type="nearest") + conv(fine, 6, (1, 1), (0, 0))
    return sym.Group([conv(merged, 3), conv(coarse, 5), global_mean(merged)])


def ranks_together(x: Any) -> Any:
    x = relu(conv(x, 4))
    pooled = sym.Flatten(global_mean(x))
    rows = sym.reshape(sym.mean(x, axis=3), shape=(0, -1))
    corner = sym.reshape(sym.slice(x, begin=(None, 0, 0, 0), end=(None, None, 1, 2)), shape=(0, -1))
    return dense(sym.Concat(pooled, rows, corner, sym.max(x, axis=(2, 3)), dim=1), 6)


def spatial_attention(x: Any) -> Any:
    x = relu(conv(x, 6))
    mask = sym.sigmoid(
        conv(sym.Concat(sym.mean(x, axis=1, keepdims=True), sym.max(x, axis=1, keepdims=True), dim=1), 1)
    )
    return dense(global_mean(sym.broadcast_mul(x, mask)), 5)


def normalised_heads(x: Any) -> Any:
    features = dense(relu(conv(x, 6)), 12)
    return sym.Group([sym.softmax(features), sym.tanh(dense(features, 3)), features])


def mlp_mixer(x: Any) -> Any:
    x = sym.transpose(sym.reshape(conv(x, 6, (4, 4), (0, 0), stride=(4, 4)), shape=(0, 0, -1)), axes=(0, 2, 1))
    mixed = sym.transpose(
        dense(sym.LeakyReLU(sym.transpose(x, axes=(0, 2, 1)), act_type="gelu"), 9, flatten=False), axes=(0, 2, 1)
    )
    x = x + mixed
    return dense(sym.mean(x + dense(relu(dense(x, 12, flatten=False)), 6, flatten=False), axis=1), 5)


NETWORKS: dict[Callable[[Any], Any], float] = {
    resnet: 27,
    densenet: 27,
    mobilenet_v2: 24,
    mobilenet_v3: 24,
    prelu_cascade: 27,
    squeezenet: 27,
    inception: 27,
    shuffle: 27,
    swish_pyramid: 27,
    ranks_together: 27,
    spatial_attention: 27,
    normalised_heads: 27,
    mlp_mixer: 24,
}


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_network(build: Callable[[Any], Any]) -> None:
    check(compile_network(random_network(build(sym.Variable("data")), PICTURE)), NETWORKS[build])


@pytest.mark.parametrize("shape", [PICTURE, (-1, 3, 9, 14)])
def test_input_of_another_name(shape: Shape) -> None:
    """A parameter called `data` may stand in the way: the target wants its input to be called so."""
    picture = sym.Variable("picture")
    symbol = conv(relu(sym.Convolution(picture, sym.Variable("data"), num_filter=4, kernel=(3, 3), no_bias=True)))
    compiled = compile_network(random_network(symbol, shape, name="picture"))
    check(compiled, 30)
    assert compiled.quantized.input.name == "picture"
    assert [node.name for node in compiled.model.nodes if node.is_variable].count("data") == 1
