"""Networks may call their layers anything: the compiled model is written, and needs no escapes."""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
import pytest
from cvm import format
from toolchain import compile_network, random_network

from mrt.frontends.mxnet import load, save

NAMES = ["größe 漢字 😀", 'quote"back\\slash/tab\tline\n', "x" * 6000, "data_1", "conv2d_3"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_compiles_to_one_that_the_target_takes(name: str, tmp_path: Path) -> None:
    layer = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=3, kernel=(3, 3), name=name)
    network = random_network(mx.sym.Activation(layer, act_type="relu", name=f"{name}!"), (-1, 2, 5, 5))
    names = [node.name for node in network.nodes()]
    assert name in names
    files = tmp_path / "n-symbol.json", tmp_path / "n-0000.params"
    save(network, *files)
    assert [node.name for node in load(*files, network.inputs).nodes()] == names
    model = compile_network(network).model
    symbol, _ = format.encode(model)
    assert symbol.isascii() and b"\\u" not in symbol
    assert len({node.name for node in model.nodes}) == len(model.nodes)
