"""One small network for every supported operator and attribute variant: name -> (symbol, input shape, bar in dB)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from mrt.graph import Shape

sym = mx.sym

Build = Callable[..., Any]
"""From data to a symbol; what a loop binds for it is an argument with a default."""

IMAGE = (-1, 4, 7, 6)


@dataclass(frozen=True)
class Case:
    """A network, and how close to float its integers must come."""

    symbol: Any
    shape: Shape = IMAGE
    bar: float = 30.0
    low: float | None = None
    high: float | None = None
    params: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Callable[[], Case]] = {}


def case(name: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Registers a case."""

    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        assert name not in CASES
        CASES[name] = make
        return make

    return register


def add(name: str, build: Build, shape: Shape = IMAGE, bar: float = 30.0, **options: Any) -> None:
    """Registers build(data)."""
    assert name not in CASES, name
    CASES[name] = lambda: Case(build(sym.Variable("data")), shape, bar, **options)


def parameters() -> list[Any]:
    """For pytest.mark.parametrize."""
    return [pytest.param(make, id=name) for name, make in CASES.items()]


def conv(
    x: Any, channels: int = 6, kernel: tuple[int, ...] = (3, 3), pad: tuple[int, ...] = (1, 1), **more: Any
) -> Any:
    """A convolution."""
    return sym.Convolution(x, num_filter=channels, kernel=kernel, pad=pad, **more)


def constant(name: str, shape: tuple[int, ...]) -> Any:
    """A parameter of the network, of any use."""
    return sym.Variable(name, shape=shape)


def products(x: Any) -> Any:
    """Products of a layer's channels with each other."""
    channels = sym.Reshape(conv(x), shape=(0, 0, -1))
    return sym.batch_dot(channels, channels, transpose_b=True)


def relu(x: Any) -> Any:
    """A ReLU."""
    return sym.Activation(x, act_type="relu")


# Convolution -----------------------------------------------------------------------------------------------------
add("conv", conv)
add("conv-no-bias", lambda x: conv(x, no_bias=True))
add("conv-groups", lambda x: conv(x, 8, num_group=2))
add("conv-depthwise", lambda x: conv(x, 4, num_group=4))
add("conv-stride", lambda x: conv(x, stride=(2, 3)))
add("conv-dilate", lambda x: conv(x, dilate=(2, 1), pad=(2, 0)))
add("conv-no-pad-1x1", lambda x: conv(x, kernel=(1, 1), pad=(0, 0)))
add("conv-uneven-kernel", lambda x: conv(x, kernel=(1, 5), pad=(0, 2)))
add("conv-large-pad", lambda x: conv(x, kernel=(3, 3), pad=(3, 2)))
add("conv-1d", lambda x: conv(x, kernel=(3,), pad=(1,)), (-1, 3, 9))
add("conv-1d-strided", lambda x: conv(x, kernel=(3,), pad=(2,), stride=(2,), dilate=(2,)), (-1, 3, 12))
add("conv-relu-conv", lambda x: conv(relu(conv(x, 8)), 4))
add("conv-relu-conv-strided", lambda x: conv(relu(conv(x, 8)), 4, stride=(2, 2), dilate=(2, 2), pad=(2, 1)))
add(
    "conv-of-many-channels-padded",
    lambda x: conv(relu(conv(x, 4096, kernel=(1, 1), pad=(0, 0), num_group=4096)), 2),
    (-1, 4096, 3, 3),
)
add("conv-relu-conv-groups", lambda x: conv(relu(conv(x, 8)), 8, num_group=4))
add("conv-relu-conv-1x1", lambda x: conv(relu(conv(x, 8)), 4, kernel=(1, 1), pad=(0, 0)))
add("conv-of-positive-data", lambda x: conv(x, 8), low=0.0, high=1.0)
add("conv-of-negative-data", lambda x: conv(x, 8), low=-1.0, high=0.0)
add("conv-of-nearly-constant-data", conv, low=99.99, high=100.01)
add(
    "conv-zero-channel",
    lambda x: conv(x, 2, no_bias=True, name="c"),
    params={"c_weight": np.concatenate([np.zeros((1, 4, 3, 3)), np.full((1, 4, 3, 3), 0.3)])},
)
add(
    "conv-uneven-channels",
    lambda x: conv(x, 3, no_bias=True, name="c"),
    bar=30,
    params={
        "c_weight": np.random.default_rng(0).normal(size=(3, 4, 3, 3)) * np.array([1e-4, 1, 30]).reshape(3, 1, 1, 1)
    },
)
add("conv-large-bias", lambda x: conv(x, 3, name="c"), params={"c_bias": np.array([100.0, -50.0, 3.0])})


# Deconvolution ---------------------------------------------------------------------------------------------------
def deconv(x: Any, kernel: tuple[int, ...] = (4, 4), stride: tuple[int, ...] = (2, 2), **more: Any) -> Any:
    """A transposed convolution."""
    return sym.Deconvolution(x, **{"num_filter": 6, "kernel": kernel, "stride": stride, **more})


for kernel in (1, 2, 3, 4, 5, 7):
    for step in (1, 2, 3):
        add(f"deconv-{kernel}-stride-{step}", lambda x, k=kernel, s=step: deconv(x, (k, k), (s, s)))
add("deconv-padded", lambda x: deconv(x, pad=(1, 1)))
add("deconv-uneven", lambda x: deconv(x, (5, 2), (3, 1), pad=(2, 0), adj=(1, 0), no_bias=False))
add("deconv-adjusted", lambda x: deconv(x, (3, 3), pad=(1, 1), adj=(1, 1), no_bias=False))
add("deconv-pad-of-a-stride", lambda x: deconv(x, (8, 6), (2, 2), pad=(3, 2)))
add("deconv-groups", lambda x: deconv(x, num_group=2, pad=(1, 1), no_bias=False))
add("deconv-depthwise", lambda x: deconv(x, num_filter=4, num_group=4, pad=(1, 1), no_bias=False))
add("deconv-depthwise-uneven", lambda x: deconv(x, (3, 3), num_filter=4, num_group=4, pad=(1, 1)))
for step, dilate in ((1, 2), (2, 2), (2, 3), (4, 2), (3, 2)):
    add(f"deconv-stride-{step}-dilate-{dilate}", lambda x, s=step, d=dilate: deconv(x, (3, 3), (s, s), dilate=(d, d)))
add("deconv-1d", lambda x: deconv(x, (4,), (2,), pad=(1,), no_bias=False), (-1, 3, 9))
add("deconv-relu-conv", lambda x: conv(relu(deconv(x, pad=(1, 1)))))
add("deconv-of-relu", lambda x: deconv(relu(conv(x, 4)), (3, 3), pad=(1, 1), adj=(1, 1)))
for groups in (1, 2):
    add(
        f"deconv-batchnorm-groups-{groups}",
        lambda x, g=groups: conv(relu(sym.BatchNorm(deconv(x, (2, 2), num_group=g), fix_gamma=False))),
    )
add(
    "deconv-batchnorm-uneven",
    lambda x: relu(sym.BatchNorm(deconv(x, (3, 3), pad=(1, 1), no_bias=False), fix_gamma=False)),
)


# FullyConnected --------------------------------------------------------------------------------------------------
def dense(x: Any, units: int = 5, **more: Any) -> Any:
    """A dense layer."""
    return sym.FullyConnected(x, num_hidden=units, **more)


add("dense", dense, (-1, 12))
add("dense-no-bias", lambda x: dense(x, no_bias=True), (-1, 12))
add("dense-flattens", dense, (-1, 3, 4, 2))
add("dense-3d-kept", lambda x: dense(x, flatten=False), (-1, 3, 8))
add("dense-4d-kept", lambda x: dense(x, flatten=False, no_bias=True), (-1, 2, 3, 8))
add("dense-2d-kept", lambda x: dense(x, flatten=False), (-1, 8))
add("dense-relu-dense", lambda x: dense(relu(dense(x, 16))), (-1, 12))
add("dense-3d-relu-dense", lambda x: dense(relu(dense(x, 16, flatten=False)), 4, flatten=False), (-1, 3, 6))


add("dense-of-nearly-constant-data", dense, (-1, 12), low=99.99, high=100.01)


# Tensors that are zero, or nearly so, on all data -----------------------------------------------------------------
def dying(x: Any, bias: float) -> Any:
    """A ReLU that lets through next to nothing, beside a path that works."""
    dead = relu(sym.Convolution(x, constant("w", (4, 4, 1, 1)), constant("b", (4,)), num_filter=4, kernel=(1, 1)))
    return conv(dead) + conv(x)


for bias in (-100.0, -12.0, -6.5):
    add(
        f"dead-relu{bias}",
        lambda x, b=bias: dying(x, b),
        params={"w": np.ones((4, 4, 1, 1)), "b": np.full(4, bias)},
    )
for bias in (-100.0, -12.0):
    add(
        f"dead-relus-added{bias}",
        lambda x: (lambda d: conv(d + d * 0.3) + conv(x))(relu(conv(x, 4, (1, 1), (0, 0), name="d"))),
        params={"d_weight": np.ones((4, 4, 1, 1)), "d_bias": np.full(4, bias)},
    )
add(
    "dead-relus-pooled",
    lambda x: dense(sym.Concat(*[relu(sym.sum(relu(x) * -1, axis=a)) for a in (2, 3)], dim=2)) + dense(x),
)
add("clip-to-a-constant", lambda x: conv(sym.clip(relu(conv(x)), -3, -1)) + conv(x))
add("maximum-above-the-data", lambda x: conv(sym.maximum(relu(conv(x)), 50)))
add("minimum-below-the-data", lambda x: sym.minimum(relu(conv(x)), -2))
add("zero-times-huge", lambda x: sym.Group([x, sym.Concat((x - x) * 1e9, (x - x) * 1e20 + x)]), bar=30)
add("zero-times-huge-twice", lambda x: (lambda z: conv(z + relu(z), 4) + x)((x - x) * 1e9))
add("concat-of-tiny", lambda x: dense(sym.Concat(relu(x) * 1e-7, relu(conv(x)), relu(x - x) * 1e-9)))
add("leaky-of-positive", lambda x: conv(sym.LeakyReLU(relu(conv(x)), act_type="leaky", slope=0.3)))
add("prelu-of-softmax", lambda x: sym.LeakyReLU(sym.softmax(conv(x)), constant("s", (6,)), act_type="prelu"))
add("zero-times", lambda x: conv(x * 0) + conv(x))
add("relu-of-negative", lambda x: dense(relu(relu(x) * -1)) + dense(x))


# BatchNorm -------------------------------------------------------------------------------------------------------
add("batchnorm", lambda x: sym.BatchNorm(x, fix_gamma=False))
add("batchnorm-fix-gamma", lambda x: sym.BatchNorm(x, fix_gamma=True, name="b"), params={"b_gamma": np.full(4, 9.0)})
add("batchnorm-global", lambda x: sym.BatchNorm(x, fix_gamma=False, use_global_stats=True, eps=1e-5))
add("batchnorm-last-axis", lambda x: sym.BatchNorm(x, fix_gamma=False, axis=3))
add("batchnorm-negative-axis", lambda x: sym.BatchNorm(x, fix_gamma=False, axis=-1))
add("batchnorm-2d", lambda x: sym.BatchNorm(x, fix_gamma=False), (-1, 5))
add("batchnorm-after-conv", lambda x: relu(sym.BatchNorm(conv(x), fix_gamma=False)))
add("batchnorm-after-conv-no-bias", lambda x: sym.BatchNorm(conv(x, no_bias=True), fix_gamma=False))
add("batchnorm-after-dense", lambda x: sym.BatchNorm(dense(x), fix_gamma=False), (-1, 12))
add("batchnorm-before-conv", lambda x: conv(relu(sym.BatchNorm(x, fix_gamma=False))))
add("batchnorm-after-last-axis-conv", lambda x: sym.BatchNorm(conv(x), fix_gamma=False, axis=2))
add("batchnorm-after-shared-conv", lambda x: (lambda c: sym.BatchNorm(c, fix_gamma=False) + c)(conv(x)))


# Activations -----------------------------------------------------------------------------------------------------
add("relu", relu)
add("relu-operator", lambda x: sym.relu(x))
add("relu-of-conv", lambda x: relu(conv(x)))
add("relu-of-shared-conv", lambda x: (lambda c: conv(relu(c)) + conv(c))(conv(x)))
for kind in ("sigmoid", "tanh", "softsign", "softrelu"):
    add(f"activation-{kind}", lambda x, kind=kind: sym.Activation(x, act_type=kind), bar=40)
    add(f"activation-{kind}-between-convs", lambda x, kind=kind: conv(sym.Activation(conv(x), act_type=kind)))
add("sigmoid-operator", lambda x: sym.sigmoid(x), bar=40)
add("tanh-operator", lambda x: sym.tanh(conv(x)))
add("sigmoid-of-zero", lambda x: sym.sigmoid(conv(x) * 0) * conv(x))
add("tanh-of-constant", lambda x: sym.tanh(conv(x) * 1e-7 + 0.5) + conv(x))
add("tanh-of-large", lambda x: sym.tanh(dense(x) * 1e9) + dense(x), (-1, 12))
add("exp", lambda x: sym.exp(x), low=-2.0, high=2.0)
add("log", lambda x: sym.log(x), low=0.5, high=4.0)
add("sqrt", lambda x: sym.sqrt(x), low=0.5, high=4.0)
add("rsqrt", lambda x: sym.rsqrt(x), low=0.5, high=4.0)
add("reciprocal", lambda x: sym.reciprocal(x), low=0.5, high=4.0)
add("erf", lambda x: sym.erf(x))
for kind in ("log1p", "log2", "log10"):
    add(kind, lambda x, kind=kind: getattr(sym, kind)(x), low=0.5, high=4.0)
for kind in ("expm1", "sin", "cos", "arctan", "sinh", "cosh", "arcsinh"):
    add(kind, lambda x, kind=kind: getattr(sym, kind)(conv(x)))
add("sqrt-from-zero-between-convs", lambda x: conv(sym.sqrt(sym.square(conv(x)))))
add("log-of-exp", lambda x: sym.log(1 + sym.exp(conv(x) * 4)), bar=40)
add("mish-by-hand", lambda x: (lambda c: c * sym.tanh(sym.log(1 + sym.exp(c * 3))))(conv(x)), bar=40)
add("exp-of-clipped-log", lambda x: conv(sym.exp(0.5 * sym.maximum(sym.log(sym.abs(conv(x)) + 0.01), -2))))
add("functions-shared", lambda x: (lambda e: sym.log(e + 1) + e)(sym.exp(x)))
add("cbrt", lambda x: sym.cbrt(x), low=0.1, high=4.0)
add("rcbrt", lambda x: sym.rcbrt(x), low=0.5, high=4.0)
add("abs", lambda x: sym.abs(x))
add("square", lambda x: sym.square(x))
add("negative", lambda x: -conv(x))
add("hard-sigmoid", lambda x: sym.hard_sigmoid(conv(x), alpha=0.2, beta=0.5))
add("leaky", lambda x: sym.LeakyReLU(x, act_type="leaky", slope=0.1))
add("leaky-default-slope", lambda x: sym.LeakyReLU(conv(x)))
add("leaky-between-convs", lambda x: conv(sym.LeakyReLU(conv(x), act_type="leaky", slope=0.2)))
add("prelu", lambda x: sym.LeakyReLU(conv(x), constant("slope", (6,)), act_type="prelu"))
add("prelu-shared-slope", lambda x: sym.LeakyReLU(conv(x), constant("slope", (1,)), act_type="prelu"))
add("prelu-2d", lambda x: sym.LeakyReLU(dense(x), constant("slope", (5,)), act_type="prelu"), (-1, 12))
for kind in ("elu", "selu", "gelu"):
    add(f"leaky-{kind}", lambda x, kind=kind: sym.LeakyReLU(x, act_type=kind))
    add(f"leaky-{kind}-between-convs", lambda x, kind=kind: conv(sym.LeakyReLU(conv(x), act_type=kind)))
add("clip", lambda x: sym.clip(x, -0.5, 0.75))
add("clip-relu6", lambda x: conv(sym.clip(conv(x * 4), 0, 6)))
add("clip-positive-bounds", lambda x: sym.clip(conv(x), 0.25, 1.0))
add("clip-beyond-the-data", lambda x: sym.clip(x, -100, 100))
add("clip-of-clip", lambda x: sym.clip(sym.clip(conv(x), -1, 1), 0, 2))
add("clip-of-shared", lambda x: (lambda c: sym.clip(c, -0.3, 0.3) * 2 + c)(conv(x)))


# Pooling ---------------------------------------------------------------------------------------------------------
def pool(x: Any, kind: str, kernel: tuple[int, int] = (3, 2), stride: tuple[int, int] = (2, 2), **more: Any) -> Any:
    """A pooling."""
    return sym.Pooling(x, pool_type=kind, kernel=kernel, stride=stride, **more)


for kind in ("max", "avg", "sum"):
    for convention in ("valid", "full"):
        for pad in ((0, 0), (1, 1), (1, 0)):
            add(
                f"pool-{kind}-{convention}-pad{pad[0]}{pad[1]}",
                lambda x, k=kind, c=convention, p=pad: pool(x, k, pooling_convention=c, pad=p),
                (-1, 3, 9, 6) if pad == (1, 1) else (-1, 3, 8, 7),
            )
    add(f"pool-{kind}-global", lambda x, k=kind: sym.Pooling(x, pool_type=k, global_pool=True, kernel=(1, 1)))
    add(f"pool-{kind}-whole-picture", lambda x, k=kind: pool(x, k, (7, 6), (1, 1)))
    add(f"pool-{kind}-between-convs", lambda x, k=kind: conv(pool(relu(conv(x)), k, (2, 2))))
    add(f"pool-{kind}-default-stride", lambda x, k=kind: sym.Pooling(x, pool_type=k, kernel=(2, 2)))
for convention in ("valid", "full"):
    add(
        f"pool-avg-{convention}-exclude-pad",
        lambda x, c=convention: pool(x, "avg", (3, 3), pad=(1, 1), count_include_pad=False, pooling_convention=c),
        (-1, 3, 8, 7),
    )
add(
    "pool-avg-exclude-pad-between-convs",
    lambda x: conv(pool(relu(conv(x)), "avg", (3, 3), (1, 1), pad=(1, 1), count_include_pad=False)),
)
add("pool-global-dense", lambda x: dense(sym.Pooling(relu(conv(x)), pool_type="avg", global_pool=True, kernel=(1, 1))))


for kind in ("max", "avg", "sum"):
    for convention in ("valid", "full"):
        add(
            f"pool-1d-{kind}-{convention}",
            lambda x, k=kind, c=convention: sym.Pooling(
                conv(x, kernel=(3,), pad=(1,)), pool_type=k, kernel=(3,), stride=(2,), pad=(1,), pooling_convention=c
            ),
            (-1, 3, 9),
        )
    add(f"pool-1d-{kind}-global", lambda x, k=kind: sym.Pooling(x, pool_type=k, global_pool=True), (-1, 3, 9))

# Arithmetic ------------------------------------------------------------------------------------------------------
TENSORS = {
    "elemwise_add": sym.elemwise_add,
    "elemwise_sub": sym.elemwise_sub,
    "elemwise_mul": sym.elemwise_mul,
    "broadcast_add": sym.broadcast_add,
    "broadcast_sub": sym.broadcast_sub,
    "broadcast_mul": sym.broadcast_mul,
}
for name, operator in TENSORS.items():
    add(f"{name}-tensors", lambda x, o=operator: o(conv(x), conv(x)))
    add(f"{name}-with-input", lambda x, o=operator: o(x, conv(x, 4)))
    add(f"{name}-itself-shared", lambda x, o=operator: (lambda y: conv(o(y, x), 4) + y)(conv(x, 4)))
for name in ("broadcast_add", "broadcast_sub", "broadcast_mul"):
    add(
        f"{name}-different-shapes",
        lambda x, o=TENSORS[name]: o(conv(x), sym.Pooling(conv(x), global_pool=True, pool_type="avg", kernel=(1, 1))),
    )
for name in ("broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div"):
    operator = getattr(sym, name)
    for label, shape in (
        ("channel", (1, 6, 1, 1)),
        ("one", (1, 1, 1, 1)),
        ("full", (1, 6, 7, 6)),
        ("row", (1, 1, 1, 6)),
    ):
        values = np.random.default_rng(3).uniform(0.5, 2.0, shape)
        add(
            f"{name}-constant-{label}",
            lambda x, o=operator, s=shape: o(conv(x), constant("c", s)),
            params={"c": values},
        )
        add(
            f"{name}-constant-{label}-of-relu",
            lambda x, o=operator, s=shape: conv(o(relu(conv(x)), constant("c", s))),
            params={"c": values},
        )
        if name != "broadcast_div":
            add(
                f"{name}-constant-{label}-left",
                lambda x, o=operator, s=shape: o(constant("c", s), conv(x)),
                params={"c": -values},
            )
add(
    "mixed-sign-constant",
    lambda x: sym.broadcast_mul(x, constant("c", (1, 4, 1, 1))),
    params={"c": np.array([-2, 0.5, 0, 3.0])},
)
add("constant-over-tensor", lambda x: sym.broadcast_div(constant("c", (1, 4, 1, 1)), x), low=0.5, high=2.0)
add("tensor-over-tensor", lambda x: sym.broadcast_div(conv(x), 0.5 + sym.square(conv(x))))
add(
    "tensor-over-sum",
    lambda x: (lambda c: c / sym.broadcast_like(sym.sum(c, axis=1, keepdims=True), c))(sym.exp(conv(x))),
)
add("tensor-over-signed", lambda x: sym.elemwise_div(conv(x, 4), x), low=1.0, high=2.0)
for name in ("maximum", "minimum"):
    operator = getattr(sym, f"broadcast_{name}")
    add(f"{name}-tensors", lambda x, o=operator: o(conv(x), conv(x)))
    add(f"{name}-of-far-ranges", lambda x, o=operator: o(conv(x), conv(x) * 200 - 50) + conv(x))
    add(f"{name}-elementwise", lambda x, n=name: getattr(sym._internal, f"_{n}")(conv(x), relu(conv(x))))
    add(
        f"{name}-constant",
        lambda x, o=operator: conv(o(constant("c", (1, 6, 1, 1)), conv(x))),
        params={"c": np.array([-0.5, 0, 0.2, 9, -9, 0.1])},
    )
    add(f"{name}-different-shapes", lambda x, o=operator: o(conv(x), sym.mean(conv(x), axis=1, keepdims=True)))
add("maximum-leaky", lambda x: (lambda c: conv(sym.maximum(c, 0.2 * c)))(conv(x)))
add("add_n", lambda x: sym.add_n(conv(x), conv(x), conv(x), conv(x)))
add("add-same-twice", lambda x: (lambda c: c + c)(conv(x)))
add("scalar-plus", lambda x: conv(x) + 3.5)
add("scalar-plus-zero", lambda x: conv(x) + 0)
add("scalar-minus", lambda x: conv(x) - 0.5)
add("scalar-rminus", lambda x: 1.5 - conv(x))
add("scalar-times", lambda x: conv(x) * 2.5)
add("scalar-times-negative", lambda x: relu(x) * -2.5)
add("scalar-times-tiny", lambda x: x * 1e-5)
add("scalar-times-huge", lambda x: x * 1e5)
add("scalar-divide", lambda x: relu(conv(x)) / 3)
add("scalar-rdivide", lambda x: 2 / x, low=0.5, high=3.0)
add("scalar-max", lambda x: sym.maximum(conv(x), 0.2))
add("scalar-max-zero", lambda x: sym.maximum(conv(x), 0))
add("scalar-max-negative", lambda x: sym.maximum(conv(x), -0.2))
add("scalar-min", lambda x: sym.minimum(conv(x), 0.2))
add("scalar-power-1", lambda x: conv(x) ** 1)
add("scalar-power-2", lambda x: conv(x) ** 2)
for exponent in (0.5, -1.0, -0.5, 1.5, -0.75, 1 / 3):
    add(f"scalar-power-{exponent}", lambda x, e=exponent: x**e, low=0.5, high=3.0)
add("scalar-power-3", lambda x: conv(x) ** 3)
add("scalar-power-of-zero", lambda x: relu(conv(x)) ** 1.5)
add("power-of-scalar", lambda x: sym._internal._rpower_scalar(conv(x), scalar=2.5))
add("scalar-plus-on-input", lambda x: conv(x + 2.0))
add("standardised-input", lambda x: conv((x - 0.45) / 0.22), low=0.0, high=1.0)
add("mul-then-add", lambda x: (lambda c: c * sym.sigmoid(c) + c)(conv(x)))


# Comparisons and choices: next to a bound, a step more or less decides ----------------------------------------------
for name in ("greater", "greater_equal", "lesser", "lesser_equal"):
    compare, scalar = getattr(sym, f"broadcast_{name}"), getattr(sym._internal, f"_{name}_scalar")
    add(f"{name}-scalar", lambda x, o=scalar: sym.Group([o(x, scalar=0.2), o(relu(conv(x)), scalar=0.3)]), bar=12)
    add(f"{name}-zero", lambda x, o=scalar: sym.Group([o(relu(x), scalar=0) + 0.5, relu(x)]), bar=12)
    add(f"{name}-tensors", lambda x, o=compare: o(conv(x), conv(x)), bar=12)
    add(f"{name}-constant-left", lambda x, o=compare: o(constant("c", (1, 1, 1, 6)), conv(x)), bar=12)
add("where", lambda x: (lambda c: sym.where(c > 0.1, c, sym.zeros_like(c)))(conv(x)), bar=20)
add("where-tensors", lambda x: sym.where(conv(x) > 0, conv(x), conv(x)), bar=12)
add("where-of-tensor", lambda x: sym.where(relu(x), conv(x, 4), sym.ones_like(x) * -3), bar=12)
add("where-of-numbers", lambda x: sym.where(x > 0.3, sym.ones_like(x) * 7, sym.ones_like(x) * -2), bar=12)
add("zeros-like", lambda x: sym.zeros_like(conv(x)) + conv(x))
add("ones-like", lambda x: sym.Group([sym.ones_like(conv(x)), conv(x)]), bar=30)
add("numbers", lambda x: sym.broadcast_add(x * 0, sym.reshape(sym.arange(6), shape=(1, 1, 1, 6))), bar=200)
add("halves", lambda x: sym.broadcast_add(x * 0, sym.reshape(sym.arange(6) / 2, shape=(1, 1, 1, 6))), bar=60)
add("columns", lambda x: sym.slice_axis(sym.Concat(conv(x), conv(x) * 50, dim=1), axis=1, begin=2, end=8))
add(
    "columns-moved",
    lambda x: sym.Concat(
        *(
            sym.slice_axis(sym.transpose(sym.Concat(conv(x), conv(x) * 50, dim=1), axes=(0, 2, 3, 1)), axis=3, **cut)
            for cut in ({"begin": 1, "end": 5}, {"begin": 7, "end": 9})
        ),
        dim=3,
    ),
)


# Movement --------------------------------------------------------------------------------------------------------
add("concat", lambda x: sym.Concat(conv(x), conv(x) * 3, dim=1))
add("concat-three-with-input", lambda x: conv(sym.Concat(x, relu(conv(x)), sym.sigmoid(conv(x)), dim=1)))
add("concat-one", lambda x: sym.Concat(conv(x), dim=1))
add("concat-last-axis", lambda x: sym.Concat(conv(x), conv(x), dim=-1))
add("concat-rows", lambda x: sym.Concat(conv(x, 4), x, dim=2))
add(
    "concat-constant",
    lambda x: sym.Concat(sym.tile(constant("c", (1, 6, 1, 1)), reps=(2, 1, 7, 6)), conv(x), dim=0),
)
add("concat-same-twice", lambda x: (lambda c: conv(sym.Concat(c, c, dim=1)))(relu(conv(x))))
add(
    "concat-pooled",
    lambda x: dense(
        sym.Concat(
            sym.Flatten(sym.Pooling(conv(x), global_pool=True, pool_type="avg", kernel=(1, 1))),
            sym.Flatten(sym.Pooling(conv(x), global_pool=True, pool_type="max", kernel=(1, 1))),
            dim=1,
        )
    ),
)
add("flatten", lambda x: sym.Flatten(conv(x)))
for label, codes in {
    "zero-minus": (0, -1),
    "explicit": (-1, 6, 42),
    "copy": (0, 0, -1),
    "rest": (0, -2),
    "merge": (0, -3, 0),
    "split": (0, -4, 2, 3, -2),
    "split-infer": (0, -4, -1, 3, 0, 0),
}.items():
    add(f"reshape-{label}", lambda x, c=codes: sym.reshape(conv(x), shape=c))
add("reshape-dense", lambda x: dense(sym.reshape(relu(conv(x)), shape=(0, -1))))
add("transpose", lambda x: sym.transpose(conv(x), axes=(0, 2, 3, 1)))
add("transpose-back", lambda x: conv(sym.transpose(sym.transpose(relu(conv(x)), axes=(0, 3, 1, 2)), axes=(0, 2, 3, 1))))
add("swapaxes", lambda x: sym.SwapAxis(conv(x), dim1=1, dim2=3))
add("swapaxes-negative", lambda x: sym.SwapAxis(conv(x), dim1=-1, dim2=1))
add("expand-dims", lambda x: sym.expand_dims(conv(x), axis=2))
add("expand-dims-negative", lambda x: sym.expand_dims(dense(x), axis=-1), (-1, 12))
add(
    "squeeze",
    lambda x: sym.squeeze(sym.Pooling(conv(x), global_pool=True, pool_type="max", kernel=(1, 1)), axis=(2, 3)),
)
add("squeeze-all", lambda x: sym.squeeze(sym.Pooling(conv(x), global_pool=True, pool_type="avg", kernel=(1, 1))))
add("squeeze-negative", lambda x: sym.squeeze(sym.expand_dims(dense(x), axis=2), axis=-1), (-1, 12))
add("stack", lambda x: sym.stack(conv(x), relu(conv(x)) * 3, conv(x), axis=1))
add("stack-last-axis", lambda x: sym.max(sym.stack(conv(x), conv(x), axis=-1), axis=-1))
add("depth-to-space", lambda x: sym.depth_to_space(conv(x, 8), block_size=2))
add("space-to-depth", lambda x: conv(sym.space_to_depth(relu(conv(x)), block_size=3)), (-1, 4, 6, 9))
add("flip", lambda x: sym.flip(conv(x), axis=3))
add("flip-axes", lambda x: conv(sym.reverse(relu(conv(x)), axis=(1, 2))))
add("take-places", lambda x: sym.take(conv(x), sym.arange(4) * 2 - 1, axis=2))
add("take-places-negative-axis", lambda x: conv(sym.take(relu(conv(x)), sym.arange(9), axis=-1)))
add(
    "broadcast-axis",
    lambda x: sym.broadcast_axis(sym.mean(conv(x), axis=(2, 3), keepdims=True), axis=(2, 3), size=(3, 2)),
)
add("broadcast-to", lambda x: sym.broadcast_to(sym.max(conv(x), axis=1, keepdims=True), shape=(0, 5, 0, 0)))
add("broadcast-like", lambda x: (lambda c: c * sym.broadcast_like(sym.mean(c, axis=1, keepdims=True), c))(conv(x)))
add("broadcast-like-constant", lambda x: conv(x) + sym.broadcast_like(constant("c", (1, 6, 1, 1)), conv(x)))
add("reshape-like", lambda x: sym.reshape_like(sym.Flatten(conv(x)), conv(x)))
add(
    "arange-like",
    lambda x: sym.broadcast_add(
        conv(x), sym.reshape(sym.contrib.arange_like(x, axis=3, step=0.3), shape=(1, 1, 1, -1))
    ),
)
add(
    "upsampling-several",
    lambda x: sym.UpSampling(
        sym.Pooling(conv(x, 3), kernel=(2, 2), stride=(2, 2), pool_type="max"),
        conv(x, 2),
        scale=2,
        sample_type="nearest",
        num_args=2,
    ),
    (-1, 4, 6, 8),
)
add(
    "upsampling-sum",
    lambda x: sym.UpSampling(
        sym.Pooling(conv(x, 3), kernel=(2, 2), stride=(2, 2), pool_type="max"),
        conv(x, 3),
        scale=2,
        sample_type="nearest",
        num_args=2,
        multi_input_mode="sum",
    ),
    (-1, 4, 6, 8),
)
add("reshape-reverse", lambda x: sym.Reshape(sym.Reshape(conv(x), shape=(0, 0, -1)), shape=(0, 7, -1), reverse=True))
add("reshape-old", lambda x: dense(sym.Reshape(conv(x), target_shape=(0, 252))))
add("crop", lambda x: sym.Crop(conv(x), h_w=(4, 3), offset=(2, 1), num_args=1))
add("crop-middle", lambda x: sym.Crop(conv(x), h_w=(4, 3), center_crop=True, num_args=1))
add("crop-like", lambda x: sym.Crop(conv(x), conv(x, 2, pad=(0, 0)), num_args=2))
add("equal-zero", lambda x: sym.Group([relu(conv(x, name="c")) == 0, relu(conv(x, name="d")) != 0]), bar=12)
add("equal-largest", lambda x: (lambda c: sym.broadcast_equal(c, sym.max(c, axis=1, keepdims=True)))(conv(x)), bar=12)
add("upsampling", lambda x: sym.UpSampling(conv(x), scale=2, sample_type="nearest"))
add(
    "upsampling-bilinear",
    lambda x: sym.UpSampling(conv(x), constant("w", (6, 1, 4, 4)), scale=2, sample_type="bilinear", num_filter=6),
)
add(
    "upsampling-bilinear-odd",
    lambda x: sym.UpSampling(conv(x), constant("w", (6, 1, 5, 5)), scale=3, sample_type="bilinear", num_filter=6),
)
for size in ((14, 12), (9, 17), (3, 6), (1, 2), (7, 13)):
    for corners in (True, False):
        add(
            f"resize-{size[0]}x{size[1]}{'-corners' if corners else ''}",
            lambda x, s=size, c=corners: sym.contrib.BilinearResize2D(
                conv(x), height=s[0], width=s[1], align_corners=c
            ),
        )
add("resize-scaled", lambda x: conv(sym.contrib.BilinearResize2D(relu(conv(x)), scale_height=2, scale_width=3)))
add("resize-like", lambda x: sym.contrib.BilinearResize2D(conv(x, pad=(0, 0)), x, mode="like"))
add("relu-of-moved", lambda x: conv(relu(sym.transpose(sym.reshape(conv(x), shape=(0, 0, -1, 3)), axes=(0, 1, 3, 2)))))
add("relu-of-joined", lambda x: conv(relu(sym.Concat(conv(x), conv(x) * 2, dim=1))))
add("relu-of-joined-and-shared", lambda x: (lambda c: conv(relu(sym.Concat(c, conv(x), dim=1))) + conv(c))(conv(x)))
add("repeat", lambda x: sym.repeat(conv(x), repeats=3, axis=2))
add("repeat-negative-axis", lambda x: sym.repeat(conv(x), repeats=2, axis=-1))
add("tile", lambda x: sym.tile(conv(x), reps=(1, 2, 1, 3)))
add("tile-short", lambda x: sym.tile(conv(x), reps=(2, 3)))
add("dropout", lambda x: conv(sym.Dropout(relu(conv(x)), p=0.5)))
add("identity", lambda x: sym.identity(conv(x)))
add("blockgrad", lambda x: sym.BlockGrad(conv(x)))
add("cast", lambda x: sym.cast(conv(sym.cast(x, dtype="float32")), dtype="float32"))


def slice_cases() -> None:
    """slice, slice_axis, slice_like and SliceChannel."""
    bounds: dict[str, dict[str, Any]] = {
        "plain": {"begin": (0, 1, 2, 1), "end": (None, 4, 6, 5)},
        "open": {"begin": (None, None, 2), "end": (None, None, None)},
        "negative": {"begin": (None, -3, -5), "end": (None, -1, None)},
        "negative-end-with-step": {"begin": (0, 0, 0, 0), "end": (1, -1, -2, 5), "step": (1, 1, 2, 2)},
        "backwards": {"begin": (None, None, 5), "end": (None, None, 0), "step": (None, -1, -2)},
        "stepped": {"begin": (None, 0, 1, 0), "end": (None, 6, 7, 6), "step": (None, 2, 3, 1)},
    }
    for label, attributes in bounds.items():
        add(f"slice-{label}", lambda x, a=attributes: sym.slice(conv(x), **a))
    add("slice_axis", lambda x: sym.slice_axis(conv(x), axis=1, begin=1, end=4))
    add("slice_axis-open", lambda x: sym.slice_axis(conv(x), axis=2, begin=-4, end=None))
    add("slice_axis-negative", lambda x: sym.slice_axis(conv(x), axis=-1, begin=0, end=-2))
    add("slice_axis-whole-batch", lambda x: sym.slice_axis(conv(x), axis=0, begin=0, end=None))
    add("slice_like", lambda x: sym.slice_like(conv(x), conv(x, 3, pad=(0, 0))))
    add("slice_like-axes", lambda x: sym.slice_like(conv(x), conv(x, 3, pad=(0, 0)), axes=(2, -1)))


slice_cases()
add("slicechannel", lambda x: (lambda s: s[0] * 2 + s[1] - s[2])(sym.SliceChannel(conv(x), num_outputs=3)))
add("slicechannel-last-axis", lambda x: sym.Group(list(sym.SliceChannel(conv(x), num_outputs=3, axis=-1))))
add(
    "slicechannel-squeeze",
    lambda x: sym.Group(list(sym.SliceChannel(conv(x, 3), num_outputs=3, axis=1, squeeze_axis=True))),
)
add("split_v2-sections", lambda x: (lambda s: s[0] - s[1])(sym.split_v2(conv(x), 2, axis=1)))
add("split_v2-places", lambda x: sym.Group(list(sym.split_v2(conv(x), (1, 4), axis=2))))
add("split_v2-squeeze", lambda x: (lambda s: s[0] * s[5])(sym.split_v2(conv(x), 6, axis=1, squeeze_axis=True)))
add("slicechannel-some-unused", lambda x: sym.SliceChannel(conv(x), num_outputs=2, axis=1)[1])

# Pad -------------------------------------------------------------------------------------------------------------
SIDES = (0, 0, 0, 0, 1, 2, 0, 3)
add("pad-conv", lambda x: conv(sym.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, 1, 1, 2, 2)), pad=(0, 0)))
add("pad-conv-uneven", lambda x: conv(sym.Pad(x, mode="constant", pad_width=SIDES), stride=(2, 2)))
add(
    "pad-conv-uneven-before",
    lambda x: conv(sym.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, 2, 0, 1, 0)), stride=(2, 2)),
)
add("pad-conv-dilated", lambda x: conv(sym.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, 0, 2, 1, 2)), dilate=(2, 2)))
add("pad-relu-conv", lambda x: conv(sym.Pad(relu(conv(x)), mode="constant", pad_width=SIDES), stride=(2, 2)))
add("pad-shared", lambda x: (lambda p: conv(p) + conv(p))(sym.Pad(relu(conv(x)), mode="constant", pad_width=SIDES)))
add("pad-output", lambda x: sym.Pad(conv(x), mode="constant", pad_width=SIDES))
add("pad-value", lambda x: sym.Pad(conv(x), mode="constant", pad_width=SIDES, constant_value=0.7))
add("pad-value-conv", lambda x: conv(sym.Pad(relu(conv(x)), mode="constant", pad_width=SIDES, constant_value=-0.7)))
add("pad-value-beyond-the-data", lambda x: sym.Pad(x, mode="constant", pad_width=SIDES, constant_value=9.0))
add("pad-value-beyond-the-data-conv", lambda x: conv(sym.Pad(x, mode="constant", pad_width=SIDES, constant_value=9.0)))
add("pad-edge", lambda x: sym.Pad(conv(x), mode="edge", pad_width=SIDES))
add("pad-edge-conv", lambda x: conv(sym.Pad(relu(conv(x)), mode="edge", pad_width=SIDES)))
add("pad-reflect", lambda x: sym.Pad(conv(x), mode="reflect", pad_width=SIDES))
add(
    "pad-reflect-conv",
    lambda x: conv(sym.Pad(relu(conv(x)), mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)), pad=(0, 0)),
)
add(
    "pad-channels",
    lambda x: conv(
        sym.Pad(
            sym.expand_dims(relu(conv(x)), axis=1), mode="constant", pad_width=(0, 0, 0, 0, 2, 1, 0, 0, 0, 0)
        ).reshape((0, -3, 0, 0))
    ),
)
add("pad-relu-maxpool", lambda x: pool(sym.Pad(relu(conv(x)), mode="constant", pad_width=SIDES), "max"))

# Softmax ---------------------------------------------------------------------------------------------------------
add("softmax", lambda x: sym.softmax(dense(x) * 3), (-1, 12))
add("softmax-spread", lambda x: sym.softmax(dense(x) * 100), (-1, 12))
add("softmax-huge", lambda x: sym.softmax(dense(x) * 1e9), (-1, 12))
add("softmax-products", lambda x: sym.softmax(products(x) * 1e6, axis=-1))
add("softmax-flat", lambda x: sym.softmax(x * 0.01), (-1, 12))
add("softmax-axis", lambda x: sym.softmax(conv(x), axis=1))
add("softmax-last-axis", lambda x: sym.softmax(conv(x), axis=-1))
add("softmax-temperature", lambda x: sym.softmax(dense(x), temperature=2.0), (-1, 12))
add("softmax-of-input", lambda x: sym.softmax(x), (-1, 12))
add("softmax-of-relu", lambda x: sym.softmax(relu(dense(x))), (-1, 12))
add("softmax-dense", lambda x: dense(sym.softmax(dense(x))), (-1, 12))
add("softmin", lambda x: sym.softmin(dense(x), axis=1), (-1, 12))
add("log-softmax", lambda x: sym.log_softmax(dense(x) * 3), (-1, 12))
add("log-softmax-axis", lambda x: sym.log_softmax(conv(x), axis=1, temperature=0.5))
add("softmaxoutput", lambda x: sym.SoftmaxOutput(dense(x), name="softmax"), (-1, 12))
add(
    "softmaxoutput-multi",
    lambda x: sym.SoftmaxOutput(
        sym.reshape(conv(x), shape=(0, 0, -1)),
        sym.reshape(sym.slice_axis(x, axis=1, begin=0, end=1), shape=(0, -1)),
        multi_output=True,
    ),
)
add(
    "softmaxoutput-preserve",
    lambda x: sym.SoftmaxOutput(
        dense(x, flatten=False), sym.slice_axis(x, axis=2, begin=0, end=1).reshape((0, -1)), preserve_shape=True
    ),
    (-1, 3, 8),
)
add("softmaxactivation", lambda x: sym.SoftmaxActivation(dense(x)), (-1, 12))
add("softmaxactivation-channel", lambda x: sym.SoftmaxActivation(conv(x), mode="channel"))
add("logisticregression", lambda x: sym.LogisticRegressionOutput(dense(x), name="out"), (-1, 12))
add("linearregression", lambda x: sym.LinearRegressionOutput(dense(x), name="out"), (-1, 12))

# Reductions ------------------------------------------------------------------------------------------------------
for kind in ("mean", "sum", "max", "min"):
    operator = getattr(sym, kind)
    add(f"{kind}-axis", lambda x, o=operator: o(conv(x), axis=1))
    add(f"{kind}-axes-keep", lambda x, o=operator: o(conv(x), axis=(2, 3), keepdims=True))
    add(f"{kind}-negative", lambda x, o=operator: o(relu(conv(x)), axis=(-1, -2)), bar=20)
    add(f"{kind}-exclude", lambda x, o=operator: o(conv(x), axis=(0, 1), exclude=True))
    add(f"{kind}-of-relu-dense", lambda x, o=operator: dense(o(relu(conv(x)), axis=(2, 3))))
    add(f"{kind}-of-input", lambda x, o=operator: o(x, axis=(1, 2)))
add("sum-plus-sum", lambda x: sym.sum(conv(x), axis=(2, 3)) + sym.sum(conv(x) * 0.1, axis=(2, 3)), (-1, 4, 16, 16))
add(
    "mean-concat-mean",
    lambda x: dense(sym.Concat(sym.mean(relu(conv(x)), axis=(2, 3)), sym.mean(conv(x), axis=(2, 3)), dim=1)),
    (-1, 4, 16, 16),
)
add(
    "sigmoid-of-large-mean",
    lambda x: sym.sigmoid(sym.mean(relu(x), axis=(1, 2, 3))),
    (-1, 4, 40, 40),
    low=0.5,
    high=1.0,
)
add("dense-of-large-mean", lambda x: dense(sym.mean(relu(x + 4), axis=(2, 3))), (-1, 2, 128, 128))


# Normalization by the data -----------------------------------------------------------------------------------------
add("layernorm", lambda x: sym.LayerNorm(dense(x), constant("g", (5,)), constant("b", (5,))), (-1, 12))
add("layernorm-channels", lambda x: conv(sym.LayerNorm(conv(x), constant("g", (6,)), constant("b", (6,)), axis=1)))
add("instancenorm", lambda x: relu(sym.InstanceNorm(conv(x), constant("g", (6,)), constant("b", (6,)))))
add("instancenorm-1d", lambda x: sym.InstanceNorm(x, constant("g", (3,)), constant("b", (3,)), eps=1e-5), (-1, 3, 9))
add("groupnorm", lambda x: conv(sym.GroupNorm(conv(x), constant("g", (2,)), constant("b", (2,)), num_groups=2)))
for mode in ("instance", "channel", "spatial"):
    add(f"l2-{mode}", lambda x, m=mode: conv(sym.L2Normalization(conv(x), mode=m)))
add("l2-of-vector", lambda x: sym.L2Normalization(dense(x), eps=1e-3), (-1, 12))
add("norm", lambda x: sym.norm(conv(x), axis=1))
add("norm-keep", lambda x: (lambda c: sym.broadcast_div(c, sym.norm(c, axis=(1, 2), keepdims=True)))(conv(x)))
add("norm-magnitudes", lambda x: sym.norm(conv(x), ord=1, axis=2))
add("moments", lambda x: sym.Group(list(sym.moments(conv(x), axes=(2, 3)))))
add("moments-keep", lambda x: (lambda m: m[0] + m[1])(sym.moments(conv(x), axes=(1,), keepdims=True)))
add("lrn", lambda x: conv(sym.LRN(relu(conv(x, 9)), nsize=5, alpha=0.5)))
add("lrn-alone", lambda x: sym.LRN(x, nsize=3, alpha=0.1, beta=0.5, knorm=1))
add("lrn-of-one-channel", lambda x: sym.LRN(x, nsize=1))


# Products of two matrices ------------------------------------------------------------------------------------------
def rows(x: Any, channels: int) -> Any:
    """A convolution's output, a row per channel."""
    return sym.reshape(conv(x, channels), shape=(0, 0, -1))


add("batch-dot", lambda x: sym.batch_dot(rows(x, 5), sym.transpose(rows(x, 3), axes=(0, 2, 1))))
add("batch-dot-right-transposed", lambda x: sym.batch_dot(rows(x, 5), rows(x, 3), transpose_b=True))
add("batch-dot-left-transposed", lambda x: sym.batch_dot(rows(x, 5), rows(x, 5), transpose_a=True))
add(
    "batch-dot-both-transposed",
    lambda x: sym.batch_dot(rows(x, 5), sym.transpose(rows(x, 5), axes=(0, 2, 1)), transpose_a=True, transpose_b=True),
)
add("batch-dot-of-many", lambda x: sym.batch_dot(rows(x, 2), rows(x, 2), transpose_b=True), (-1, 4, 40, 40))
add(
    "attention",
    lambda x: (
        lambda r: dense(sym.batch_dot(sym.softmax(sym.batch_dot(r, rows(x, 6), transpose_b=True), axis=-1), rows(x, 6)))
    )(rows(x, 6)),
)
