"""What cannot be compiled is refused in one line that names the node, the operator and the way out."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import pytest
from operator_cases import IMAGE, constant, conv, dense, relu
from toolchain import compile_network, random_network

from mrt import ops
from mrt.advice import advised
from mrt.errors import MRTError
from mrt.graph import Shape
from mrt.transform import PREPARE, PassManager

sym = mx.sym
Build = Callable[[Any], Any]

REFUSED: dict[str, tuple[Build, Shape, str]] = {
    "rrelu": (lambda x: sym.LeakyReLU(x, act_type="rrelu", name="bad"), IMAGE, "act_type=rrelu"),
    "deconv-3d": (
        lambda x: sym.Deconvolution(x, kernel=(2, 2, 2), num_filter=3, name="bad"),
        (-1, 2, 3, 5, 5),
        "3-dimensional",
    ),
    "deconv-computed-weight": (
        lambda x: sym.Deconvolution(x, sym.reshape(x, shape=(4, 1, 7, 6)), kernel=(7, 6), num_filter=1, name="bad"),
        (1, 4, 7, 6),
        "not constant",
    ),
    "adaptive-pooling-3d": (
        lambda x: sym.contrib.AdaptiveAvgPooling2D(x, output_size=(1, 2, 3), name="bad"),
        IMAGE,
        "one or two numbers",
    ),
    "topk": (lambda x: sym.topk(dense(x), name="bad"), IMAGE, "operator is not supported"),
    "conv-3d": (lambda x: conv(x, kernel=(1, 3, 3), pad=(0, 1, 1), name="bad"), (-1, 2, 3, 5, 5), "3-dimensional"),
    "conv-weight-of-one-sample": (
        lambda x: sym.Convolution(
            x, sym.slice_axis(x, axis=0, begin=0, end=1, name="bad"), num_filter=1, kernel=(7, 6), no_bias=True
        ),
        IMAGE,
        "a part of the batch",
    ),
    "pool-lp": (lambda x: sym.Pooling(x, pool_type="lp", p_value=2, kernel=(2, 2), name="bad"), IMAGE, "pool_type=lp"),
    "pool-3d": (
        lambda x: sym.Pooling(x, pool_type="max", kernel=(2, 2, 2), name="bad"),
        (-1, 2, 8, 8, 8),
        "spatial axes",
    ),
    "pool-in-padding": (
        lambda x: sym.Pooling(
            x, pool_type="max", kernel=(3, 2), stride=(2, 2), pad=(1, 1), pooling_convention="full", name="bad"
        ),
        (-1, 3, 8, 7),
        "wholly in the padding",
    ),
    "divide-by-zero": (lambda x: sym._internal._div_scalar(x, scalar=0, name="bad"), IMAGE, "division by zero"),
    "power-of-zero": (lambda x: sym._internal._rpower_scalar(relu(x), scalar=0, name="bad"), IMAGE, "powers of 0"),
    "mean-over-batch": (lambda x: sym.mean(x, axis=0, name="bad"), IMAGE, "batch axis"),
    "sum-over-all": (lambda x: sym.sum(x, name="bad"), IMAGE, "batch axis"),
    "max-over-batch": (lambda x: sym.max(x, axis=(0, 1), name="bad"), IMAGE, "batch axis"),
    "min-over-batch": (lambda x: sym.min(x, axis=0, name="bad"), IMAGE, "batch axis"),
    "repeat-without-axis": (lambda x: sym.repeat(x, repeats=2, name="bad"), IMAGE, "without an axis"),
    "dropout-always": (lambda x: sym.Dropout(x, p=0.5, mode="always", name="bad"), IMAGE, "mode=always"),
    "cast-int": (lambda x: sym.cast(x, dtype="int32", name="bad"), IMAGE, "cast to int32"),
    "slice-backwards-along-the-batch": (
        lambda x: sym.slice(x, begin=(3,), end=(None,), step=(-1,), name="bad"),
        IMAGE,
        "a part of the batch",
    ),
    "flip-the-batch": (lambda x: sym.flip(x, axis=0, name="bad"), IMAGE, "reversing the batch axis"),
    "take-from-the-batch": (lambda x: sym.take(x, sym.arange(2), axis=0, name="bad"), IMAGE, "along the batch axis"),
    "take-computed": (lambda x: sym.take(x, dense(x, 2), axis=1, name="bad"), IMAGE, "must be constant"),
    "take-around": (lambda x: sym.take(x, sym.arange(2), axis=1, mode="wrap", name="bad"), IMAGE, "mode=wrap"),
    "arange-like-all": (
        lambda x: sym.elemwise_add(x, sym.contrib.arange_like(x, name="bad")),
        IMAGE,
        "only along a given axis",
    ),
    "norm-over-batch": (lambda x: sym.norm(x, axis=0, name="bad"), IMAGE, "batch axis"),
    "norm-over-all": (lambda x: sym.norm(x, name="bad"), IMAGE, "batch axis"),
    "moments-over-batch": (lambda x: sym.moments(x, axes=(0, 2), name="bad")[0], IMAGE, "batch axis"),
    "layernorm-computed-gamma": (
        lambda x: sym.LayerNorm(x, sym.reshape(sym.mean(x, axis=(1, 2)), shape=(6,)), constant("b", (6,)), name="bad"),
        (1, 4, 7, 6),
        "must be parameters",
    ),
    "layernorm-statistics": (
        lambda x: sym.LayerNorm(x, constant("g", (6,)), constant("b", (6,)), output_mean_var=True, name="bad")[0],
        IMAGE,
        "output_mean_var",
    ),
    "lrn-even": (lambda x: sym.LRN(x, nsize=4, name="bad"), IMAGE, "not an odd number"),
    "batch-dot-of-a-constant": (
        lambda x: sym.batch_dot(sym.reshape(x, shape=(0, 0, -1)), constant("w", (2, 42, 3)), name="bad"),
        (2, 4, 7, 6),
        "must be the network's data",
    ),
    "batchnorm-statistics": (
        lambda x: sym.BatchNorm(x, output_mean_var=True, name="bad")[0],
        IMAGE,
        "output_mean_var",
    ),
    "batchnorm-computed-gamma": (
        lambda x: sym.BatchNorm(x, sym.slice_axis(dense(x, 4), axis=0, begin=0, end=1).reshape((4,)), name="bad"),
        (1, 4, 7, 6),
        "must be parameters",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_refusal_names_node_operator_reason_and_way_out(name: str) -> None:
    build, shape, reason = REFUSED[name]
    symbol = build(sym.Variable("data"))
    network = random_network(symbol, shape)
    with pytest.raises(MRTError) as caught:
        PassManager(PREPARE).run(network) if -1 not in shape else compile_network(network)
    message = str(caught.value)
    assert "\n" not in message
    assert "node bad (" in message
    assert reason in message
    assert "[SPLIT_MODEL]" not in message
    assert advised(caught.value).startswith(f"{message}; leave it in float by splitting the network before it")


def test_every_operator_of_the_registry_is_in_the_table_once() -> None:
    table = ops.documentation()
    for name in ("Convolution", "BatchNorm", "_rminus_scalar", "softrelu"):
        assert ops.known(name)
        assert table.count(f"`{name}`") == 1
    assert not ops.known("topk")
    with pytest.raises(MRTError, match="operator topk is not supported"):
        ops.get("topk")
