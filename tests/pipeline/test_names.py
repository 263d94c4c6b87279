"""Networks may call their layers anything: the compiled model is written, and needs no escapes."""

from __future__ import annotations

import mxnet as mx
import pytest
from cvm import format
from toolchain import compile_network, random_network

NAMES = ["größe 漢字 😀", "a\x01\x0b\x7f", 'quote"back\\slash/tab\tline\n', "x" * 6000, "data_1", "conv2d_3"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_compiles_to_one_that_the_target_takes(name: str) -> None:
    layer = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=3, kernel=(3, 3), name=name)
    network = random_network(mx.sym.Activation(layer, act_type="relu", name=f"{name}!"), (-1, 2, 5, 5))
    assert any(node.name.startswith(name) for node in network.nodes())
    model = compile_network(network).model
    symbol, _ = format.encode(model)
    assert symbol.isascii() and b"\\u" not in symbol
    assert len({node.name for node in model.nodes}) == len(model.nodes)
