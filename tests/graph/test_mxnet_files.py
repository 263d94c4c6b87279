"""Round trips to and from MXNet's symbol JSON and parameter files, and what damaged files lead to."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from graph_networks import digits_like
from toolchain import compile_network, random_network

from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.executors.symbol import to_symbol
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph, Node, Value

sym = mx.sym
SHAPE = (-1, 1, 8, 8)


def described(graph: Graph) -> list[Any]:
    """Everything a graph consists of, by name."""
    nodes: list[Any] = [
        (node.op, node.name, tuple((v.node.name, v.index) for v in node.inputs), dict(node.attrs), node.origin)
        for node in graph.nodes()
    ]
    return [*nodes, [(v.node.name, v.index) for v in graph.outputs], dict(graph.inputs)]


def assert_same(a: Graph, b: Graph) -> None:
    assert described(a) == described(b)
    assert a.params.keys() == b.params.keys()
    for name, array in a.params.items():
        assert array.dtype == b.params[name].dtype
        np.testing.assert_array_equal(array, b.params[name])


@pytest.fixture
def network() -> Graph:
    return random_network(digits_like(), SHAPE)


@pytest.fixture
def files(network: Graph, tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "net.json", tmp_path / "net.params"
    mxnet_files.save(network, *paths)
    return paths


def test_a_float_network_returns_from_its_files_unchanged(network: Graph, files: tuple[Path, Path]) -> None:
    assert_same(network, mxnet_files.load(*files, network.inputs))


def nodes_of(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The nodes, without the version counters of auxiliary states."""
    return [(n["op"], n["name"], n.get("attrs", {}), [i[:2] for i in n["inputs"]]) for n in document["nodes"]]


def test_symbol_json_survives_the_graph_unchanged() -> None:
    symbol = digits_like()
    graph = random_network(symbol, SHAPE)
    before, after = json.loads(symbol.tojson()), json.loads(to_symbol(graph).tojson())
    assert nodes_of(before) == nodes_of(after)
    assert before["heads"] == after["heads"]


def test_prepared_and_integer_networks_return_from_their_files_unchanged(network: Graph, tmp_path: Path) -> None:
    compiled = compile_network(network)
    for name, graph in (("prepare", compiled.prepared), ("quantize", compiled.quantized.graph)):
        paths = tmp_path / f"{name}.json", tmp_path / f"{name}.params"
        mxnet_files.save(graph, *paths)
        assert_same(graph, mxnet_files.load(*paths, graph.inputs))
    assert any(len(node.origin) > 1 for node in compiled.prepared.nodes()), "BatchNorm was folded: two origins"
    assert any(node.target_op == "cvm_right_shift" for node in compiled.quantized.graph.nodes())


def test_an_integer_network_opens_in_plain_mxnet(network: Graph, tmp_path: Path) -> None:
    quantized = compile_network(network).quantized
    symbol, params = tmp_path / "q.json", tmp_path / "q.params"
    mxnet_files.save(quantized.graph, symbol, params)
    data = np.random.default_rng(0).integers(-127, 128, (4, 1, 8, 8))
    block = mx.gluon.SymbolBlock(mx.sym.load(str(symbol)), mx.sym.var("data"))
    block.load_parameters(str(params), cast_dtype=True, dtype_source="saved")
    block.cast("float64")
    (expected,) = Executor(quantized.graph, dtype="float64")(data)
    np.testing.assert_array_equal(block(mx.nd.array(data, dtype="float64")).asnumpy(), expected)


def shift(name: str, value: Value, bits: int) -> Value:
    return Value(Node("cvm.cvm_right_shift", name, (value,), {"precision": "8", "shift_bit": str(bits)}, ("conv",)))


def test_expansions_do_not_take_the_names_of_other_nodes() -> None:
    """`s` expands into several MXNet nodes: whatever they are called, a node `s_0` stays itself."""
    x = Value(Node("null", "x", origin=("x",)))
    first = shift("s_0", x, 3)
    second = shift("s", first, 1)
    third = shift("s_1", first, 2)
    total = Value(Node("elemwise_add", "s_2", (second, third), origin=("s_2",)))
    for outputs in ((total,), (shift("s_0_1", total, 1), first)):
        graph = Graph(outputs, {}, {"x": (-1, 4)})
        restored = mxnet_files.from_symbol(to_symbol(graph), {}, graph.inputs)
        assert described(graph) == described(restored)
        data = np.arange(-400, 400, 200).reshape(1, 4)
        for a, b in zip(Executor(graph, dtype="float64")(data), Executor(restored, dtype="float64")(data)):
            np.testing.assert_array_equal(a, b)


def test_a_table_and_a_later_output_of_an_operator_return_unchanged() -> None:
    x, table = Value(Node("null", "x", origin=("x",))), Value(Node("null", "table", origin=("t",)))
    parts = Node("SliceChannel", "parts", (x,), {"num_outputs": "2", "axis": "1"}, ("parts",))
    looked_up = Value(Node("cvm.cvm_lut", "lut", (Value(parts, 1), table), {"in_dim": "4"}, ("act", "parts")))
    graph = Graph((looked_up,), {"table": np.array([7, 5, 3, 1], np.int32)}, {"x": (-1, 2)})
    restored = mxnet_files.from_symbol(to_symbol(graph), graph.params, graph.inputs)
    assert_same(graph, restored)
    np.testing.assert_array_equal(Executor(restored, dtype="float64")(np.array([[0, 2], [1, 9]]))[0], [[3], [1]])


def test_old_symbols_are_read(network: Graph, files: tuple[Path, Path], tmp_path: Path) -> None:
    """MXNet 0.x wrote attributes under `attr`, and `param` for operators."""
    document = json.loads(files[0].read_text())
    for node in document["nodes"]:
        if "attrs" in node:
            node["attr"] = node.pop("attrs")
    document.pop("attrs")
    document["attrs"] = {"mxnet_version": ["int", 905]}
    old = tmp_path / "old.json"
    old.write_text(json.dumps(document))
    loaded = mxnet_files.load(old, files[1], network.inputs)
    data = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(Executor(loaded)(data)[0], Executor(network)(data)[0])


def refused(files: tuple[Path, Path], inputs: Any = None) -> str:
    with pytest.raises(MRTError) as caught:
        mxnet_files.load(*files, inputs or {"data": SHAPE})
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("kept", [0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused_by_name(files: tuple[Path, Path], which: int, kept: float) -> None:
    whole = files[which].read_bytes()
    files[which].write_bytes(whole[: int(len(whole) * kept)])
    assert str(files[which]) in refused(files)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("content", [b"\x00\xff\x80" * 100, b"{}", b"[1, 2]", b'{"nodes": []}', b"hello"])
def test_files_of_another_kind_are_refused_by_name(files: tuple[Path, Path], which: int, content: bytes) -> None:
    files[which].write_bytes(content)
    assert str(files[which]) in refused(files)


@pytest.mark.parametrize("which", [0, 1])
def test_missing_files_are_refused_by_name(files: tuple[Path, Path], which: int) -> None:
    files[which].unlink()
    assert refused(files) == f"{files[which]}: no such file"


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    arrays = dict(mx.nd.load(str(path)))
    change(arrays)
    mx.nd.save(str(path), arrays)


def test_parameters_of_another_network_are_refused(files: tuple[Path, Path]) -> None:
    rewritten(files[1], lambda arrays: arrays.pop("arg:conv0_weight"))
    assert "variable conv0_weight: neither an input nor in the parameters file" in refused(files)


def test_parameters_that_are_not_finite_are_refused(files: tuple[Path, Path]) -> None:
    rewritten(files[1], lambda arrays: arrays.update({"arg:conv0_weight": arrays["arg:conv0_weight"] / 0}))
    assert refused(files) == f"{files[1]}: parameter conv0_weight has values that are not finite"


def test_parameters_without_names_are_refused(files: tuple[Path, Path]) -> None:
    mx.nd.save(str(files[1]), [mx.nd.zeros((2,))])
    assert "have no names" in refused(files)


def test_an_operator_that_mxnet_does_not_know_is_named(files: tuple[Path, Path]) -> None:
    files[0].write_text(files[0].read_text().replace('"Pooling"', '"Puling"'))
    assert "node pool0 has the unknown operator Puling" in refused(files)


def test_a_wrong_input_name_is_refused(files: tuple[Path, Path]) -> None:
    assert "variable data: neither an input nor" in refused(files, {"picture": SHAPE})


def test_saving_leaves_no_partial_files(network: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    symbol, params = tmp_path / "net.json", tmp_path / "net.params"
    mxnet_files.save(network, symbol, params)
    before = params.read_bytes()
    assert mx.nd.load(str(params)).keys() == mx.nd.load_frombuffer(before).keys()

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MRTError, match=r"cannot write .*params: No space left"):
        mxnet_files.save(network, symbol, params)
    assert params.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net.params"]


def test_saving_does_not_follow_a_planted_link(network: Graph, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    for name in ("net.params", "net.params.part"):
        (tmp_path / name).symlink_to("precious")
    mxnet_files.save(network, tmp_path / "net.json", tmp_path / "net.params")
    assert (tmp_path / "precious").read_bytes() == b"keep"
    assert not (tmp_path / "net.params").is_symlink()


def test_operators_of_one_name_get_numbers() -> None:
    """As a Gluon block leaves them that is used several times."""
    x = sym.Variable("data")
    weight = sym.Variable("w", shape=(4, 4))
    for _ in range(3):
        x = sym.FullyConnected(x, weight, num_hidden=4, no_bias=True, name="shared")
    symbol = sym.Group([x, sym.relu(x, name="shared_1")])
    graph = random_network(symbol, (-1, 4))
    assert [node.name for node in graph.nodes() if not node.is_variable] == [
        "shared",
        "shared_2",
        "shared_3",
        "shared_1",
    ]
    data = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    product = graph.params["w"].T @ graph.params["w"].T @ graph.params["w"].T
    last, rectified = Executor(graph)(data)
    np.testing.assert_allclose(last, data @ product, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rectified, np.maximum(data @ product, 0), rtol=1e-4, atol=1e-6)
