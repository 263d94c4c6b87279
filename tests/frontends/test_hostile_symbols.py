"""Symbols that no MXNet has written, or that another tool has been at: one line, and MXNet never sees them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest

from mrt.errors import MRTError
from mrt.frontends import mxnet as mxnet_files

sym = mx.sym


def document() -> dict[str, Any]:
    """data, c_weight, c (a convolution), fc_weight, fc (dense)."""
    c = sym.Convolution(sym.Variable("data"), num_filter=8, kernel=(3, 3), no_bias=True, name="c")
    found: dict[str, Any] = json.loads(sym.FullyConnected(c, num_hidden=3, no_bias=True, name="fc").tojson())
    return found


def refused(text: str, folder: Path) -> str:
    path = folder / "net-symbol.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(MRTError) as caught:
        mxnet_files.load_symbol(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a readable MXNet symbol")
    assert "\n" not in message
    return message.split("symbol: ")[-1]


def change(edit: Callable[[list[Any]], Any]) -> Callable[[dict[str, Any]], None]:
    def apply(written: dict[str, Any]) -> None:
        edit(written["nodes"])

    return apply


def operator(name: str) -> Callable[[dict[str, Any]], None]:
    return change(lambda nodes: nodes[2].update(op=name))


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "output of a variable": (
        change(lambda nodes: nodes[2]["inputs"].__setitem__(0, [0, 7, 0])),
        "node data (null): output 7 is read, but it has 1",
    ),
    "output of an operator": (
        change(lambda nodes: nodes[4]["inputs"].__setitem__(0, [2, 1, 0])),
        "node c (Convolution): output 1 is read, but it has 1",
    ),
    "head of an operator": (
        lambda written: written.update(heads=[[4, 3, 0]]),
        "node fc (FullyConnected): output 3 is read, but it has 1",
    ),
    "head of no node": (lambda written: written.update(heads=[[9, 0, 0]]), "an output (heads) is of a node that"),
    "no heads": (lambda written: written.update(heads=[]), "it has no outputs (heads)"),
    "no groups": (
        change(lambda nodes: nodes[2]["attrs"].update(num_group="0")),
        "node c (Convolution): attribute num_group=0 must be above 0",
    ),
    "a stride of 0": (
        change(lambda nodes: nodes[2]["attrs"].update(stride="(1, 0)")),
        "node c (Convolution): attribute stride=(1, 0) must be above 0",
    ),
    "a cycle": (
        change(lambda nodes: nodes[2]["inputs"].__setitem__(0, [4, 0, 0])),
        "node c: it reads a node that does not come before it; a network has no cycles",
    ),
    "itself": (change(lambda nodes: nodes[2]["inputs"].__setitem__(0, [2, 0, 0])), "a network has no cycles"),
    "a negative number": (change(lambda nodes: nodes[2]["inputs"].__setitem__(0, [-1, 0, 0])), "not a list of [node"),
    "inputs that are none": (change(lambda nodes: nodes[2].update(inputs={"0": 1})), "not a list of [node, output]"),
    "a variable with inputs": (change(lambda nodes: nodes[1].update(inputs=[[0, 0, 0]])), "a variable has no inputs"),
    "attributes that are numbers": (
        change(lambda nodes: nodes[2]["attrs"].update(num_filter=8)),
        "node c (Convolution): its attrs are not pairs of text",
    ),
    "a node that is none": (change(lambda nodes: nodes.__setitem__(1, 7)), "node 1 has no operator or no name"),
    "an unknown operator": (operator("Foo"), "node c has the unknown operator Foo"),
    "what oneDNN fused": (
        operator("_sg_mkldnn_conv"),
        "node c (_sg_mkldnn_conv) is what MXNet's optimize_for or get_backend_symbol fused for oneDNN: export the "
        "float network from before that step",
    ),
    "what MXNet quantized": (operator("_contrib_quantized_conv"), "is what MXNet's own quantization (quantize_net"),
    "a loop": (
        change(lambda nodes: nodes[2].update(op="_foreach", subgraphs=[{"nodes": []}])),
        "node c (_foreach) has a network inside (foreach, while_loop, cond, or a fused part)",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_node_and_what_is_wrong_with_it_are_named(name: str, tmp_path: Path) -> None:
    written = document()
    HOSTILE[name][0](written)
    assert HOSTILE[name][1] in refused(json.dumps(written), tmp_path)


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    assert refused("[" * 200_000, tmp_path) == "it is nested too deeply for a symbol"
    written = json.dumps(document()).replace(
        '"heads"', '"more": ' + '{"a":' * 100_000 + "0" + "}" * 100_000 + ', "heads"'
    )
    assert refused(written, tmp_path) == "it is nested too deeply for a symbol"


def test_what_mxnet_alone_finds_is_told_by_the_child(tmp_path: Path) -> None:
    written = document()
    written["nodes"][2]["attrs"]["num_filter"] = "many"
    assert "num_filter" in refused(json.dumps(written), tmp_path)


def test_a_long_chain_is_a_network(tmp_path: Path) -> None:
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "data", "inputs": []}]
    nodes += [{"op": "relu", "name": f"r{i}", "inputs": [[i, 0, 0]]} for i in range(20_000)]
    path = tmp_path / "net-symbol.json"
    path.write_text(json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[20_000, 0, 0]]}))
    symbol = mxnet_files.load_symbol(path)
    assert len(mxnet_files.from_symbol(symbol, {}, {"data": (-1, 4)}).nodes()) == 20_001


@pytest.mark.parametrize("name", ["m_sym_badout", "m_sym_cycle", "m_sym_group0"])
def test_found_ones(name: str, shared: Path) -> None:
    folder = shared / "cases" / "hostile" / name
    with pytest.raises(MRTError, match=r"^[^\n]*not a readable MXNet symbol: node [^\n]*$"):
        mxnet_files.load_symbol(folder / "digits-symbol.json")


@pytest.mark.parametrize(
    "written", ["[", "5", '"x"', "[[]]", '[["a"], 3]', '{"a": 1}', '{"op": "relu"}', "null", "[" * 5000]
)
@pytest.mark.parametrize("key", ["__origin__", "__mrt__"])
def test_notes_that_mrt_did_not_write_are_refused_or_do_not_matter(key: str, written: str, tmp_path: Path) -> None:
    found = document()
    found["nodes"][2]["attrs"][key] = written
    path = tmp_path / "net-symbol.json"
    path.write_text(json.dumps(found))
    symbol = mxnet_files.load_symbol(path)
    with pytest.raises(MRTError, match=rf"^node c: [^\n]*({key}|what MRT noted of it is damaged)[^\n]*$"):
        mxnet_files.from_symbol(symbol, {"c_weight": np.zeros(1), "fc_weight": np.zeros(1)}, {"data": (-1, 1, 8, 8)})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_that_may_not_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net-symbol.json"
    path.write_text(json.dumps(document()))
    path.chmod(0)
    assert "Permission denied" in refused(path.read_text(), tmp_path)
