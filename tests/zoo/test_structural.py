"""Runs with random weights: realistic activations, agreement and no accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from mrt import cli, nets, zoo
from mrt.config import load
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Graph, Value
from mrt.run.seeded import fit_batch_norm, seed_weights, structural_network
from mrt.run.source import untrained_network
from mrt.zoo.weights import random_network


def network() -> Graph:
    """Two convolutions with BatchNorm (one without gamma), a dropout, a dense layer; parameters all 0 or 1."""
    data = mx.sym.var("data")
    body = mx.sym.Convolution(data, name="conv0", kernel=(3, 3), num_filter=4, no_bias=True)
    body = mx.sym.BatchNorm(body, name="norm0", fix_gamma=False, eps=1e-2)
    body = mx.sym.Activation(mx.sym.Dropout(body, p=0.9), act_type="relu")
    body = mx.sym.Convolution(body, name="conv1", kernel=(3, 3), num_filter=6)
    body = mx.sym.BatchNorm(body, name="norm1", fix_gamma=True)
    body = mx.sym.FullyConnected(body, name="dense", num_hidden=3)
    arguments, _, auxiliary = body.infer_shape(data=(1, 2, 8, 8))
    names = [*body.list_arguments(), *body.list_auxiliary_states()]
    params = {n: np.zeros(s, np.float32) for n, s in zip(names, [*arguments, *auxiliary]) if n != "data"}
    return from_symbol(body, params, {"data": (-1, 2, 8, 8)})


def pictures(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 5.0, (32, 2, 8, 8)).astype(np.float32)


def outputs_of(graph: Graph, op: str, data: np.ndarray) -> list[np.ndarray]:
    return Executor(graph, [Value(node) for node in graph.nodes() if node.op == op])(data)


def test_batch_norm_normalises_the_pictures_it_was_fitted_on() -> None:
    """At inference, each channel then has beta as its mean and gamma as its spread: those of training mode."""
    graph = structural_network(network(), pictures())
    first, second = outputs_of(graph, "BatchNorm", pictures())
    gamma, beta = graph.params["norm0_gamma"], graph.params["norm0_beta"]
    np.testing.assert_allclose(first.mean(axis=(0, 2, 3)), beta, atol=1e-3)
    np.testing.assert_allclose(first.std(axis=(0, 2, 3)), gamma, rtol=1e-2)
    np.testing.assert_allclose(second.mean(axis=(0, 2, 3)), graph.params["norm1_beta"], atol=1e-3)
    np.testing.assert_allclose(second.std(axis=(0, 2, 3)), 1.0, rtol=1e-2)


def test_fitting_changes_the_statistics_only() -> None:
    seeded = seed_weights(network())
    fitted = fit_batch_norm(seeded, pictures())
    changed = {name for name, array in fitted.params.items() if not np.array_equal(array, seeded.params[name])}
    assert changed == {f"norm{i}_moving_{what}" for i in (0, 1) for what in ("mean", "var")}


def test_the_seed_decides_the_weights() -> None:
    one, same, other = seed_weights(network(), 1), seed_weights(network(), 1), seed_weights(network(), 2)
    for name in ("conv0_weight", "conv1_bias", "norm0_gamma", "norm0_beta", "dense_weight"):
        np.testing.assert_array_equal(one.params[name], same.params[name])
        assert not np.array_equal(one.params[name], other.params[name])


def test_layers_keep_the_power_of_their_input() -> None:
    """He's variance: 2 / fan-in."""
    weight = mx.sym.FullyConnected(mx.sym.var("data"), name="dense", num_hidden=500)
    params = {"dense_weight": np.zeros((500, 400), np.float32), "dense_bias": np.zeros(500, np.float32)}
    graph = seed_weights(from_symbol(weight, params, {"data": (-1, 400)}))
    assert graph.params["dense_weight"].std() == pytest.approx((2 / 400) ** 0.5, rel=0.02)


def test_residual_branches_are_half_the_size() -> None:
    """Of an addition, only the operand with more layers behind it is a branch, whatever ReLU there is at its end."""
    data = mx.sym.var("data")

    def conv(x: mx.sym.Symbol, name: str) -> mx.sym.Symbol:
        return mx.sym.Convolution(x, name=name, kernel=(3, 3), pad=(1, 1), num_filter=64)

    stem = conv(data, "stem")
    plain = mx.sym.Activation(conv(stem, "plain"), act_type="relu")
    first = mx.sym.BatchNorm(conv(plain, "before"), name="norm", fix_gamma=False)
    body = conv(stem, "shortcut") + mx.sym.Activation(first, act_type="relu")
    body = conv(conv(body, "inner"), "end") + body
    arguments, _, auxiliary = body.infer_shape(data=(1, 3, 8, 8))
    names = [*body.list_arguments(), *body.list_auxiliary_states()]
    params = {n: np.zeros(s, np.float32) for n, s in zip(names, [*arguments, *auxiliary]) if n != "data"}
    seeded = seed_weights(from_symbol(body, params, {"data": (-1, 3, 8, 8)})).params
    for name, factor in (("plain", 1), ("before", 1), ("shortcut", 1), ("inner", 1), ("end", 0.5)):
        assert seeded[f"{name}_weight"].std() == pytest.approx(factor * (2 / (64 * 9)) ** 0.5, rel=0.03), name
    assert seeded["norm_gamma"].mean() == pytest.approx(0.5, abs=0.1)
    assert seeded["norm_beta"].mean() == pytest.approx(0.25, abs=0.1)


def test_a_zoo_network_can_be_had_without_data() -> None:
    data = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    one, same, other = (Executor(random_network("qd10_resnetv1_20", seed=seed))(data)[0] for seed in (0, 0, 1))
    assert one.shape == (2, 10)
    assert one.std() > 0.1
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_activations_that_are_not_finite_are_refused() -> None:
    with pytest.raises(MRTError, match=r"norm0.*not finite"):
        structural_network(network(), pictures() * np.float32(1e30))


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("cifar_resnet20_v2", ["CALIBRATION.Batch=16", "EVALUATION.Batch=16", "EVALUATION.Iter_num=2"]),
        ("quickdraw", ["EVALUATION.Batch=32", "EVALUATION.Iter_num=1"]),
        ("mobilenet0.5", ["DEFAULT.Input_shape=(-1, 3, 96, 96)", "EVALUATION.Batch=16", "EVALUATION.Iter_num=2"]),
    ],
)
def test_a_run_says_agreement_and_not_accuracy(
    name: str,
    overrides: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """No weights and no data here: seeded ones stand in for both, and the report says so."""
    monkeypatch.setenv("MRT_DATA", str(tmp_path / "nothing"))
    settings = [item for override in [f"DEFAULT.Output_dir={tmp_path}", *overrides] for item in ("--set", override)]
    assert cli.main([str(zoo.configuration(name)), "--random-weights", "--quiet", *settings]) == 0
    out, err = capfd.readouterr()
    assert "seeded weights" in out and "agreement" in out
    assert "top1" not in out and "accuracy" not in out
    assert "synthetic pictures" in err
    assert "MKLDNN" not in err
    written = json.loads((tmp_path / "random_weights" / f"{name}.report.json").read_text())
    assert written["weights"] == "random"
    assert written["dataset"] == "synthetic"
    assert written["accuracy"] == {}
    assert 0.5 <= written["agreement"] <= 1
    assert written["sqnr_db"] == written["sqnr_outputs_db"][0] >= 20
    assert written["certificate"]["ok"] is True
    assert written["bit_exact"] == {"samples": 2, "mismatches": 0}
    added = [layer["added"] for layer in written["costly_layers"]]
    assert added == sorted(added, reverse=True) and added[0] > 0
    assert not list(tmp_path.glob("*.json"))  # what a real run left would still be there


def test_damaged_data_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for number in range(1, 6):
        (folder / f"data_batch_{number}.bin").write_bytes(b"short")
    (folder / "test_batch.bin").write_bytes(b"short")
    settings = ["--set", f"CALIBRATION.Dataset_dir={tmp_path}", "--set", f"DEFAULT.Output_dir={tmp_path}"]
    assert cli.main([str(zoo.configuration("cifar_resnet20_v2")), "--random-weights", *settings]) == 2
    assert "truncated" in capsys.readouterr().err


def test_a_shape_that_the_network_cannot_take_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MRT_DATA", str(tmp_path))
    settings = ["--set", "DEFAULT.Input_shape=(-1, 3, 64, 64)", "--set", f"DEFAULT.Output_dir={tmp_path}"]
    assert cli.main([str(zoo.configuration("squeezenet1.1")), "--random-weights", *settings]) == 2
    assert "input shape (-1, 3, 64, 64)" in capsys.readouterr().err


def test_a_network_is_built_without_the_weights_of_its_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert isinstance(nets.get("simple_pose_resnet18_v1b"), mx.gluon.HybridBlock)
    assert not list(tmp_path.rglob("*.params")) and not list(tmp_path.rglob("*.zip"))


def test_a_network_that_cannot_be_built_alone_is_refused() -> None:
    with pytest.raises(MRTError, match=r"GluonCV cannot build vgg16_ucf101 .*not been initialized"):
        nets.get("vgg16_ucf101")


def test_a_network_with_two_inputs_is_refused() -> None:
    overrides = ["DEFAULT.Model_name=siamrpn_alexnet_v2_otb15", "DEFAULT.Input_shape=(-1, 3, 127, 127)"]
    with pytest.raises(MRTError, match=r"cannot take one such input .*'search'"):
        untrained_network(load(zoo.configuration("resnet50_v1"), overrides))


def test_resuming_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    configuration = str(zoo.configuration("quickdraw"))
    assert cli.main([configuration, "--random-weights", "--start", "PREPARE"]) == 2
    assert "Start" in capsys.readouterr().err
