"""Random small networks: whatever the operators' order, the promises that do not depend on luck hold."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import mxnet as mx
import numpy as np
from hypothesis import HealthCheck, given, note, settings
from operator_cases import conv
from toolchain import check_bit_exact, check_prepared, compile_network, random_network

from mrt.recipe import Recipe

sym = mx.sym
EXAMPLES = int(os.environ.get("MRT_RANDOM_NETWORKS", "25"))


@dataclass
class Growing:
    """A network being drawn: the tensors so far, all (N, channels, height, width)."""

    draw: Any
    tensors: list[Any] = field(default_factory=lambda: [sym.Variable("data")])
    count: int = 0

    def shape(self, tensor: Any) -> tuple[int, ...]:
        _, (shape,), _ = tensor.infer_shape(data=(1, 3, 6, 5))
        return tuple(shape)

    def any(self) -> Any:
        return self.tensors[self.draw(st.integers(max(0, len(self.tensors) - 3), len(self.tensors) - 1))]

    def alike(self, tensor: Any) -> Any:
        shape = self.shape(tensor)
        return self.draw(st.sampled_from([t for t in self.tensors if self.shape(t) == shape]))

    def constant(self, shape: tuple[int, ...]) -> Any:
        self.count += 1
        return sym.Variable(f"constant{self.count}_weight", shape=shape)

    def step(self) -> None:
        x = self.any()
        kind = self.draw(st.sampled_from(sorted(STEPS)))
        note(f"{kind} of {x.name}")
        self.tensors.append(STEPS[kind](self, x))


def convolution(g: Growing, x: Any) -> Any:
    channels = g.shape(x)[1]
    groups = g.draw(st.sampled_from([1, channels]))
    return conv(
        x,
        channels if groups > 1 else g.draw(st.integers(1, 5)),
        num_group=groups,
        no_bias=g.draw(st.booleans()),
        stride=(1, g.draw(st.integers(1, 2))),
        dilate=g.draw(st.sampled_from([(1, 1), (2, 1)])),
        pad=(2, g.draw(st.integers(1, 2))),
    )


def pooling(g: Growing, x: Any) -> Any:
    kind, convention = g.draw(st.sampled_from(["max", "avg"])), g.draw(st.sampled_from(["valid", "full"]))
    include = g.draw(st.booleans())
    return sym.Pooling(
        x,
        kernel=(3, 3),
        pad=(1, 1),
        stride=(1, 1),
        pool_type=kind,
        pooling_convention=convention,
        count_include_pad=include,
    )


def gate(g: Growing, x: Any) -> Any:
    return sym.broadcast_mul(x, sym.sigmoid(sym.Pooling(g.alike(x), global_pool=True, pool_type="avg", kernel=(1, 1))))


def concat(g: Growing, x: Any) -> Any:
    others = [t for t in g.tensors if g.shape(t)[2:] == g.shape(x)[2:]]
    return sym.Concat(x, g.draw(st.sampled_from(others)), g.draw(st.sampled_from(others)), dim=1)


def channel_slice(g: Growing, x: Any) -> Any:
    channels = g.shape(x)[1]
    begin = g.draw(st.integers(0, channels - 1))
    return sym.slice_axis(x, axis=1, begin=begin, end=g.draw(st.integers(begin + 1, channels)))


def pad(g: Growing, x: Any) -> Any:
    value = g.draw(st.sampled_from([0, 0, 0.5, -2]))
    mode = g.draw(st.sampled_from(["constant", "edge"]))
    return sym.Pad(x, mode=mode, pad_width=(0, 0, 0, 0, 1, 0, 0, 2), constant_value=value)


def extreme(g: Growing, x: Any) -> Any:
    reduce = g.draw(st.sampled_from([sym.max, sym.min, sym.mean, sym.sum]))
    return sym.broadcast_sub(x, reduce(x, axis=g.draw(st.sampled_from([1, (2, 3), 3])), keepdims=True))


def channelwise(g: Growing, x: Any) -> Any:
    operator = g.draw(st.sampled_from([sym.broadcast_mul, sym.broadcast_add, sym.broadcast_sub]))
    constant = g.constant((1, g.shape(x)[1], 1, 1))
    return operator(x, constant) if g.draw(st.booleans()) else operator(constant, x)


def prelu(g: Growing, x: Any) -> Any:
    return sym.LeakyReLU(x, g.constant((g.shape(x)[1],)), act_type="prelu")


def pairwise(g: Growing, x: Any) -> Any:
    operator = g.draw(st.sampled_from([sym.elemwise_add, sym.elemwise_sub, sym.elemwise_mul, sym.broadcast_add]))
    return operator(x, g.alike(x))


def scalar(g: Growing, x: Any) -> Any:
    value = g.draw(st.sampled_from([-3.0, -0.1, 0.01, 0.5, 2.0, 40.0]))
    operators = [lambda: x + value, lambda: x * value, lambda: value - x, lambda: x / value]
    return g.draw(st.sampled_from(operators))()


def reshaped(g: Growing, x: Any) -> Any:
    turned = sym.transpose(x, axes=(0, 1, 3, 2))
    merged = sym.expand_dims(sym.reshape(turned, shape=(0, 0, -3)), axis=2)
    return g.draw(st.sampled_from([turned, merged]))


STEPS = {
    "convolution": convolution,
    "pooling": pooling,
    "gate": gate,
    "concat": concat,
    "channel slice": channel_slice,
    "pad": pad,
    "extreme": extreme,
    "channelwise": channelwise,
    "prelu": prelu,
    "pairwise": pairwise,
    "scalar": scalar,
    "reshaped": reshaped,
    "relu": lambda g, x: sym.Activation(x, act_type="relu"),
    "clip": lambda g, x: sym.clip(x, g.draw(st.sampled_from([-1.5, 0, 0.1])), g.draw(st.sampled_from([0.3, 6]))),
    "table": lambda g, x: sym.Activation(x, act_type=g.draw(st.sampled_from(["sigmoid", "tanh", "softsign"]))),
    "leaky": lambda g, x: sym.LeakyReLU(x, act_type=g.draw(st.sampled_from(["leaky", "elu", "gelu"]))),
    "batchnorm": lambda g, x: sym.BatchNorm(x, fix_gamma=g.draw(st.booleans())),
    "softmax": lambda g, x: sym.softmax(x, axis=g.draw(st.sampled_from([1, -1]))),
    "upsampling": lambda g, x: sym.UpSampling(x, scale=2, sample_type="nearest"),
}


@st.composite
def networks(draw: Any) -> Any:
    growing = Growing(draw)
    for _ in range(draw(st.integers(1, 9))):
        growing.step()
    outputs = [growing.tensors[-1]] if draw(st.booleans()) else growing.tensors[-2:]
    if draw(st.booleans()):
        outputs[-1] = sym.FullyConnected(outputs[-1], num_hidden=3)
    return sym.Group([sym.identity(output) for output in outputs]) if len(outputs) > 1 else outputs[0]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.integers(0, 2**16), st.sampled_from([8, 8, 8, 5]), st.sampled_from([None, 8]))
def test_random_network(symbol: Any, seed: int, input_precision: int, output_precision: int | None) -> None:
    network = random_network(symbol, (-1, 3, 6, 5), seed=seed)
    note(symbol.tojson())
    compiled = compile_network(network, Recipe(input_precision=input_precision, output_precision=output_precision))
    check_prepared(compiled)
    check_bit_exact(compiled)
    assert compiled.certificate.ok, compiled.certificate.verdict()
    if output_precision is not None:
        assert all(info.precision <= output_precision for info in compiled.quantized.outputs)
    assert np.isfinite([float(info.scale) for info in compiled.quantized.outputs]).all()
