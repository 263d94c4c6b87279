"""Networks as people export them: what is for training only is left away, other dialects and types are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cvm
import mxnet as mx
import numpy as np
import pytest
from saved_networks import NAME, compiled, loaded, outputs, save
from toolchain import check, compile_network

import mrt
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph

sym = mx.sym
DATA = sym.Variable("data")
LABEL = sym.Variable("softmax_label", shape=(2,))
PICTURES = np.random.default_rng(5).normal(size=(2, 1, 8, 8)).astype(np.float32)


def conv(x: Any = DATA, name: str = "c") -> Any:
    return sym.Convolution(x, num_filter=8, kernel=(3, 3), pad=(1, 1), name=name)


def head(x: Any, name: str = "fc") -> Any:
    return sym.FullyConnected(sym.Flatten(x), num_hidden=10, name=name)


def assert_computes(network: Graph, *expected: Any) -> None:
    found = Executor(network)(PICTURES)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def scores(folder: Path) -> Any:
    """What the network computes up to its dense layer."""
    return outputs(head(sym.relu(conv())), folder, data=PICTURES)[0]


TRAINED: dict[str, Any] = {
    "its label beside the scores": lambda x: sym.Group([sym.SoftmaxOutput(x, LABEL, name="out"), sym.BlockGrad(LABEL)]),
    "a loss beside the scores": lambda x: sym.Group(
        [x, sym.MakeLoss(sym.sum(sym.square(x - sym.one_hot(LABEL, depth=10))))]
    ),
    "a margin": lambda x: sym.SoftmaxOutput(x - 0.5 * sym.one_hot(LABEL, depth=10), LABEL),
    "a loss only": lambda x: sym.MakeLoss(sym.softmax_cross_entropy(x, LABEL)),
    "support vectors": lambda x: sym.SVMOutput(x, LABEL),
}


@pytest.mark.parametrize("name", TRAINED)
def test_what_reads_a_label_is_left_away(name: str, tmp_path: Path) -> None:
    save(TRAINED[name](head(sym.relu(conv()))), tmp_path, inputs={"softmax_label": (2,)})
    network = compiled(tmp_path)
    expected = scores(tmp_path)
    if name == "its label beside the scores":
        expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    assert set(network.inputs) == {"data"}
    assert_computes(network, expected)


def test_a_ctc_loss_gives_way_to_what_it_reads(tmp_path: Path) -> None:
    steps = sym.transpose(sym.Reshape(sym.relu(conv()), shape=(0, 0, -1)), axes=(2, 0, 1))
    read = sym.FullyConnected(steps, num_hidden=6, flatten=False, name="fc")
    save(sym.MakeLoss(sym.ctc_loss(read, sym.Variable("label", shape=(2, 4)))), tmp_path, inputs={"label": (2, 4)})
    assert_computes(compiled(tmp_path), *outputs(read, tmp_path, data=PICTURES))


def test_what_only_a_loss_reads_is_a_label_whatever_its_name(tmp_path: Path) -> None:
    loss = sym.MakeLoss(sym.sum(sym.square(head(conv()) - sym.Variable("truth", shape=(2, 10)))))
    save(sym.Group([head(sym.relu(conv(name="c2")), "fc2"), loss]), tmp_path, inputs={"truth": (2, 10)})
    network = loaded(tmp_path)
    assert set(network.inputs) == {"data"} and len(network.outputs) == 1


def test_a_second_input_is_named(tmp_path: Path) -> None:
    other = sym.FullyConnected(sym.Variable("age", shape=(2, 5)), num_hidden=10, name="f2")
    save(head(conv()) + other, tmp_path, inputs={"age": (2, 5)})
    with pytest.raises(MRTError, match=r"the network has 2 inputs \(data, age\), and not each is given a shape"):
        loaded(tmp_path)


def test_a_parameter_that_is_missing_is_named(tmp_path: Path) -> None:
    save(head(conv()), tmp_path, inputs={"c_weight": (8, 1, 3, 3)})
    with pytest.raises(MRTError, match=r"there is no parameter c_weight; do the two files belong together\?"):
        loaded(tmp_path)


def test_networks_of_mxnets_numpy_front_end(tmp_path: Path) -> None:
    """Exported by another process: `npx.set_np()` holds for a whole one."""
    code = f"""
import numpy
from mxnet import np, npx; from mxnet.gluon import nn; npx.set_np()
class Net(nn.HybridBlock):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2D(8, 3, padding=1), nn.BatchNorm(), nn.Dense(10)
    def hybrid_forward(self, F, x):
        x = F.npx.relu(self.norm(self.conv(x)))
        a, b = F.np.split(x, 2, axis=1)
        x = F.np.concatenate([a * 2 + 1, F.np.exp(-b) / 3], axis=1)
        x = F.npx.reshape(x, (-2, -5, -2)) - F.np.mean(x, axis=(2, 3)).reshape(-1, 8, 1).sum(axis=1, keepdims=True)
        return F.np.tanh(self.dense(F.np.transpose(x, (0, 2, 1))))
net = Net(); net.initialize(); net.hybridize()
result = net(np.array(numpy.load({str(tmp_path / "data.npy")!r})))
numpy.save({str(tmp_path / "expected.npy")!r}, result.asnumpy())
net.export({str(tmp_path / NAME)!r})"""
    np.save(tmp_path / "data.npy", PICTURES)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)
    network = compiled(tmp_path)
    assert not any(node.op.startswith(("_np", "_npi", "_npx")) for node in network.nodes())
    assert_computes(network, np.load(tmp_path / "expected.npy"))


def test_a_network_in_half_precision_runs_in_single(tmp_path: Path) -> None:
    half = sym.Cast(head(sym.relu(conv(sym.Cast(DATA, dtype="float16")))), dtype="float32")
    names = ("c_weight", "c_bias", "fc_weight", "fc_bias")
    save(half, tmp_path, dtypes=dict.fromkeys(names, "float16"))
    network = compiled(tmp_path)
    assert {str(array.dtype) for array in network.params.values()} == {"float32"}
    save(head(sym.relu(conv())), tmp_path)  # the same weights, not rounded to half precision
    np.testing.assert_allclose(Executor(network)(PICTURES)[0], scores(tmp_path), rtol=1e-2, atol=1e-2)


def test_casts_of_mixed_precision_training(tmp_path: Path) -> None:
    amp = sym.amp_cast(head(conv(sym.amp_cast(DATA, dtype="float16"))), dtype="float32")
    save(amp, tmp_path)
    assert_computes(compiled(tmp_path), *outputs(head(conv()), tmp_path, data=PICTURES))


def test_parameters_of_whole_numbers(tmp_path: Path) -> None:
    save(head(conv()), tmp_path, dtypes={"c_weight": "int8"})
    network = compiled(tmp_path)
    assert network.params["c_weight"].dtype == np.float32
    assert np.abs(network.params["c_weight"]).max() >= 1


def test_names_in_any_language(tmp_path: Path) -> None:
    save(head(conv(name="卷積é")), tmp_path)
    network = compiled(tmp_path)
    assert "卷積é" in {node.name for node in network.nodes()}
    paths = tmp_path / "again.json", tmp_path / "again.params"
    mxnet_files.save(network, *paths)
    assert "卷積é_weight" in mxnet_files.load(*paths, network.inputs).params


@pytest.mark.parametrize("odd", ["\x01", "\x08\x1f", "\n", '"\\', "\x7f\u2028"])
def test_names_with_characters_that_json_escapes(odd: str, tmp_path: Path) -> None:
    symbol = head(conv(name=f"a{odd}b"))
    save(symbol, tmp_path)
    assert_computes(loaded(tmp_path), *outputs(symbol, tmp_path, data=PICTURES))
    params = {name: array.asnumpy() for name, array in mx.nd.load(str(tmp_path / f"{NAME}-0000.params")).items()}
    model = mrt.quantize((symbol, params), PICTURES)
    assert np.min(model.sqnr(PICTURES)) > 30
    paths = tmp_path / "again.json", tmp_path / "again.params"
    mxnet_files.save(model.network, *paths)
    assert f"a{odd}b" in {node.name for node in mxnet_files.load(*paths, model.network.inputs).nodes()}
    assert cvm.load(model.save(tmp_path / "model"))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    save(head(conv()), tmp_path)
    path = tmp_path / f"{NAME}-symbol.json"
    path.write_text(path.read_text().replace('"c_bias"', r'"c\ud800"'))
    with pytest.raises(MRTError, match="not a readable MXNet symbol"):
        loaded(tmp_path)


def test_symbols_do_not_depend_on_the_locale(tmp_path: Path) -> None:
    save(head(conv(name="é")), tmp_path)
    code = f"""
from pathlib import Path
from mrt.frontends.mxnet import load_symbol
print(ascii(load_symbol(Path({str(tmp_path / f"{NAME}-symbol.json")!r})).list_inputs()[1]))"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert told.stdout.strip() == r"'\xe9_weight'"


def test_the_last_of_several_epochs_is_taken_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(head(conv()), tmp_path)
    first = tmp_path / f"{NAME}-0000.params"
    first.rename(tmp_path / f"{NAME}-0080.params")
    loaded(tmp_path)
    assert caplog.messages == [f"model {NAME}: the parameters are those of {NAME}-0080.params"]
    (tmp_path / f"{NAME}-0009.params").write_bytes(b"never read")
    loaded(tmp_path)
    assert caplog.messages[-1].endswith(f"{NAME}-0080.params, the last of 2")


def test_an_unrolled_cell_begins_with_zeros_for_every_sample(tmp_path: Path) -> None:
    cell = mx.rnn.LSTMCell(6, prefix="l_")
    steps = sym.Reshape(sym.relu(conv()), shape=(0, 8, -1))
    unrolled, _ = cell.unroll(8, inputs=steps, merge_outputs=True, layout="NTC")
    save(head(unrolled), tmp_path)
    check(compile_network(loaded(tmp_path)), 30.0)


@pytest.mark.parametrize("name", ["lstmcell_unroll", "crop_legacy", "arc_onehot", "crnn_lstm"])
def test_networks_that_were_refused(name: str, shared: Path, tmp_path: Path) -> None:
    for part in ("symbol.json", "0000.params"):
        (tmp_path / f"{NAME}-{part}").write_bytes((shared / "cases" / "networks" / f"{name}-{part}").read_bytes())
    shape = (-1, 1, 8, 32) if name == "crnn_lstm" else (-1, 1, 8, 8)
    network = loaded(tmp_path, shape)
    check(compile_network(network), 20.0)
