"""Loading, splitting, merging: the stages that stand between files and graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from toolchain import pictures, random_network

from mrt.calibrate.calibrator import calibrate
from mrt.config import Config, load
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import Quantized, quantize
from mrt.run.checkpoints import Checkpoints
from mrt.run.merge import merge
from mrt.run.source import load_network
from mrt.run.split import split
from mrt.transform import PREPARE, PassManager

sym = mx.sym
DATA = sym.Variable("data")
IMAGE = (-1, 3, 6, 6)


def conv(x: Any, name: str, **more: Any) -> Any:
    return sym.Convolution(x, **{"num_filter": 4, "kernel": (3, 3), "pad": (1, 1), "name": name, **more})


def detector() -> Any:
    """A trunk with two heads, sorted in float: sorting has no integer form."""
    trunk = sym.Activation(conv(DATA, "trunk"), act_type="relu", name="act")
    scores = sym.Flatten(conv(trunk, "scores", num_filter=2), name="flat")
    boxes = sym.sigmoid(sym.Flatten(conv(trunk, "boxes", num_filter=2)), name="boxed")
    offset = sym.Variable("scores_const", shape=(1, 72))
    return sym.sort(sym.broadcast_add(scores * boxes, offset), axis=1, name="sorted")


def configuration(folder: Path, shape: str = "(-1, 3, 6, 6)") -> Config:
    (folder / "net.ini").write_text(
        f"[DEFAULT]\nModel_name=net\nModel_dir={folder}\nInput_shape={shape}\n[CALIBRATION]\nDataset=digits\n"
    )
    return load(folder / "net.ini")


def export(folder: Path, symbol: Any, shape: tuple[int, ...] = IMAGE, spelling: str = "net-symbol.json") -> Graph:
    network = random_network(symbol, shape)
    params = folder / ("net-0000.params" if spelling.endswith("-symbol.json") else "net.params")
    mxnet_files.save(network, folder / spelling, params)
    return network


@pytest.mark.parametrize("spelling", ["net-symbol.json", "net.json"])
def test_both_spellings_of_the_files_are_found(spelling: str, tmp_path: Path) -> None:
    network = export(tmp_path, conv(DATA, "only"), spelling=spelling)
    loaded = load_network(configuration(tmp_path))
    data = pictures(network, 2, 0)
    np.testing.assert_array_equal(Executor(loaded)(data)[0], Executor(network)(data)[0])


def test_the_input_may_have_any_name(tmp_path: Path) -> None:
    network = random_network(conv(sym.Variable("picture"), "only"), IMAGE, name="picture")
    mxnet_files.save(network, tmp_path / "net.json", tmp_path / "net.params")
    assert dict(load_network(configuration(tmp_path)).inputs) == {"picture": IMAGE}


def test_a_network_with_a_training_loss_loads_without_its_label(tmp_path: Path) -> None:
    symbol = sym.SoftmaxOutput(sym.FullyConnected(conv(DATA, "c"), num_hidden=5, name="dense"), name="softmax")
    network = export(tmp_path, symbol)
    loaded = load_network(configuration(tmp_path))
    assert dict(loaded.inputs) == {"data": IMAGE}
    assert loaded.outputs[0].node.name == "softmax"
    data = pictures(network, 3, 0)
    (expected,) = Executor(network)({"data": data, "softmax_label": np.zeros(3)})
    np.testing.assert_allclose(Executor(loaded)(data)[0], expected, atol=1e-6)


def test_missing_parameters_are_named(tmp_path: Path) -> None:
    export(tmp_path, conv(DATA, "only"))
    (tmp_path / "net-0000.params").unlink()
    with pytest.raises(MRTError, match=r"net-0000\.params: no such file"):
        load_network(configuration(tmp_path))


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    export(tmp_path, conv(DATA, "only"))
    other = random_network(conv(DATA, "other"), IMAGE)
    mxnet_files.save(other, tmp_path / "other.json", tmp_path / "net-0000.params")
    with pytest.raises(MRTError, match=r"there is no parameter only_weight \(and 1 more\); do the two files belong"):
        load_network(configuration(tmp_path))


def test_a_network_without_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(sym.ones((1, 2), name="ones").tojson())
    mx.nd.save(str(tmp_path / "net.params"), {"arg:w": mx.nd.ones((1,))})
    with pytest.raises(MRTError, match="the network has no input"):
        load_network(configuration(tmp_path))


def test_base_and_top_together_are_the_network() -> None:
    network = random_network(detector(), IMAGE)
    data = pictures(network, 3, 0)
    for keys in (["flat", "boxed"], ["act"], ["boxed", "flat"], ["trunk"]):
        cut = split(network, keys)
        assert list(cut.top.inputs) == keys
        assert set(cut.base.inputs) == {"data"}
        between = dict(zip(cut.top.inputs, Executor(cut.base)(data)))
        np.testing.assert_array_equal(Executor(cut.top)(between)[0], Executor(network)(data)[0])
        assert set(cut.base.params) | set(cut.top.params) == set(network.params)


def test_keys_that_leave_a_way_around_are_refused() -> None:
    network = random_network(detector(), IMAGE)
    with pytest.raises(MRTError, match="still depend on data past the keys; add keys"):
        split(network, ["flat"])


def quantized_base(keys: list[str]) -> tuple[Graph, Quantized, Graph]:
    network = random_network(detector(), IMAGE)
    cut = split(network, keys)
    prepared = PassManager(PREPARE, verify=pictures(network, 2, 0)).run(cut.base)
    return network, quantize(prepared, calibrate(prepared, [pictures(network, 64, 1)])), cut.top


@pytest.mark.parametrize("keys", [["flat", "boxed"], ["act"]])
def test_the_merged_graph_is_the_base_in_integers_and_the_top_in_float(keys: list[str], tmp_path: Path) -> None:
    network, quantized, top = quantized_base(keys)
    merged = merge(quantized, top)
    data = pictures(network, 3, 1)
    integers = quantize_input(data, quantized.input)
    (found,) = Executor(merged)(integers)
    (expected,) = Executor(network)(data)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    between = [
        dequantize(a, i) for a, i in zip(Executor(quantized.graph, dtype="float64")(integers), quantized.outputs)
    ]
    np.testing.assert_allclose(found, Executor(top)(dict(zip(top.inputs, between)))[0], rtol=1e-4, atol=1e-4)
    checkpoints = Checkpoints(tmp_path, "net")
    checkpoints.save_graph("merge", merged)
    np.testing.assert_array_equal(Executor(checkpoints.load_graph("merge"))(integers)[0], found)


def test_names_of_base_and_top_may_meet() -> None:
    """The base's integer nodes and constants are named after its nodes: `scores_const` is a parameter of the top."""
    network, quantized, top = quantized_base(["flat", "boxed"])
    assert "scores_const" in top.params
    assert "scores_const" in quantized.graph.params
    merged = merge(quantized, top)
    data = pictures(network, 2, 1)
    (found,) = Executor(merged)(quantize_input(data, quantized.input))
    (expected,) = Executor(network)(data)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_maps_must_name_keys_that_exist() -> None:
    _, quantized, top = quantized_base(["flat", "boxed"])
    merge(quantized, top, {"sort": {"is_ascend": "flat"}}, {"sorted": "boxed", "other": None})
    with pytest.raises(MRTError, match=r"attribute_deps: sort: is_ascend: act is not one of the keys \(flat, boxed\)"):
        merge(quantized, top, {"sort": {"is_ascend": "act"}})
    with pytest.raises(MRTError, match=r"oscale_maps: sorted: act is not one of the keys \(flat, boxed\)"):
        merge(quantized, top, None, {"sorted": "act"})


def test_a_quantized_checkpoint_returns_with_its_scales(tmp_path: Path) -> None:
    _, quantized, _ = quantized_base(["flat", "boxed"])
    checkpoints = Checkpoints(tmp_path, "net")
    checkpoints.save_quantized(quantized)
    restored = checkpoints.load_quantized()
    assert (restored.input, restored.outputs) == (quantized.input, quantized.outputs)
    assert [v.name for v in restored.graph.outputs] == [v.name for v in quantized.graph.outputs]
