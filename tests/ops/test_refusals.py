"""What cannot be compiled is refused in one line that names the node, the operator and the way out."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import pytest
from operator_cases import IMAGE, constant, conv, dense
from toolchain import compile_network, random_network

from mrt import ops
from mrt.errors import MRTError
from mrt.graph import Shape

sym = mx.sym
Build = Callable[[Any], Any]

REFUSED: dict[str, tuple[Build, Shape, str]] = {
    "softrelu": (lambda x: sym.Activation(x, act_type="softrelu", name="bad"), IMAGE, "act_type=softrelu"),
    "rrelu": (lambda x: sym.LeakyReLU(x, act_type="rrelu", name="bad"), IMAGE, "act_type=rrelu"),
    "deconvolution": (
        lambda x: sym.Deconvolution(x, kernel=(2, 2), num_filter=3, name="bad"),
        IMAGE,
        "operator is not supported",
    ),
    "topk": (lambda x: sym.topk(dense(x), name="bad"), IMAGE, "operator is not supported"),
    "conv-3d": (lambda x: conv(x, kernel=(1, 3, 3), pad=(0, 1, 1), name="bad"), (-1, 2, 3, 5, 5), "3-dimensional"),
    "conv-computed-weight": (
        lambda x: sym.Convolution(
            x, sym.slice_axis(x, axis=0, begin=0, end=1), num_filter=1, kernel=(7, 6), no_bias=True, name="bad"
        ),
        IMAGE,
        "weights are not constant",
    ),
    "conv-computed-bias": (
        lambda x: sym.Convolution(
            x,
            constant("w", (4, 4, 1, 1)),
            sym.slice_axis(sym.mean(x, axis=(2, 3)), axis=0, begin=0, end=1).reshape((4,)),
            num_filter=4,
            kernel=(1, 1),
            name="bad",
        ),
        IMAGE,
        "bias is not constant",
    ),
    "pool-lp": (lambda x: sym.Pooling(x, pool_type="lp", p_value=2, kernel=(2, 2), name="bad"), IMAGE, "pool_type=lp"),
    "pool-1d": (lambda x: sym.Pooling(x, pool_type="max", kernel=(2,), name="bad"), (-1, 2, 8), "spatial axes"),
    "pool-in-padding": (
        lambda x: sym.Pooling(
            x, pool_type="max", kernel=(3, 2), stride=(2, 2), pad=(1, 1), pooling_convention="full", name="bad"
        ),
        (-1, 3, 8, 7),
        "wholly in the padding",
    ),
    "divide-by-tensor": (lambda x: sym.broadcast_div(x, conv(x, 4), name="bad"), IMAGE, "division by a tensor"),
    "divide-by-zero": (lambda x: sym._internal._div_scalar(x, scalar=0, name="bad"), IMAGE, "division by zero"),
    "power": (lambda x: sym._internal._power_scalar(x, scalar=3, name="bad"), IMAGE, "exponent 3"),
    "mean-over-batch": (lambda x: sym.mean(x, axis=0, name="bad"), IMAGE, "batch axis"),
    "sum-over-all": (lambda x: sym.sum(x, name="bad"), IMAGE, "batch axis"),
    "max-over-batch": (lambda x: sym.max(x, axis=(0, 1), name="bad"), IMAGE, "batch axis"),
    "min-over-batch": (lambda x: sym.min(x, axis=0, name="bad"), IMAGE, "batch axis"),
    "reshape-reverse": (lambda x: sym.reshape(x, shape=(0, -1), reverse=True, name="bad"), IMAGE, "reverse=True"),
    "repeat-without-axis": (lambda x: sym.repeat(x, repeats=2, name="bad"), IMAGE, "without an axis"),
    "dropout-always": (lambda x: sym.Dropout(x, p=0.5, mode="always", name="bad"), IMAGE, "mode=always"),
    "cast-int": (lambda x: sym.cast(x, dtype="int32", name="bad"), IMAGE, "cast to int32"),
    "pad-reflect": (
        lambda x: sym.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 1, 1), name="bad"),
        IMAGE,
        "mode=reflect",
    ),
    "slice-negative-step": (
        lambda x: sym.slice(x, begin=(None, 3), end=(None, None), step=(1, -1), name="bad"),
        IMAGE,
        "negative step",
    ),
    "upsampling-bilinear": (
        lambda x: sym.UpSampling(
            x, constant("w", (4, 1, 4, 4)), scale=2, sample_type="bilinear", num_filter=4, name="bad"
        ),
        IMAGE,
        "sample_type=nearest",
    ),
    "batchnorm-statistics": (
        lambda x: sym.BatchNorm(x, output_mean_var=True, name="bad")[0],
        IMAGE,
        "output_mean_var",
    ),
    "batchnorm-computed-gamma": (
        lambda x: sym.BatchNorm(x, sym.slice_axis(dense(x, 4), axis=0, begin=0, end=1).reshape((4,)), name="bad"),
        IMAGE,
        "must be parameters",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_refusal_names_node_operator_reason_and_way_out(name: str) -> None:
    build, shape, reason = REFUSED[name]
    symbol = build(sym.Variable("data"))
    with pytest.raises(MRTError) as caught:
        compile_network(random_network(symbol, shape))
    message = str(caught.value)
    assert "\n" not in message
    assert "node bad (" in message
    assert reason in message
    assert "[SPLIT_MODEL] Keys" in message


def test_every_operator_of_the_registry_is_in_the_table_once() -> None:
    table = ops.documentation()
    for name in ("Convolution", "BatchNorm", "_rminus_scalar", "cvm_right_shift"):
        assert ops.known(name)
        assert table.count(f"`{name}`") == 1
    assert not ops.known("Deconvolution")
    with pytest.raises(MRTError, match="operator Deconvolution is not supported"):
        ops.get("Deconvolution")
