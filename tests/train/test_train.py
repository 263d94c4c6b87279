from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from mrt import datasets, nets
from mrt.config import load
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.train import Epoch, TrainSettings, evaluate, train

SHORT = TrainSettings(network="digits_cnn", epochs=2, batch=32, optimizer="adam", learning_rate=0.003)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.get("digits")(None, (-1, 1, 8, 8))


def load_exported(prefix: Path) -> mx.gluon.SymbolBlock:
    return mx.gluon.SymbolBlock.imports(f"{prefix}-symbol.json", ["data"], f"{prefix}-0000.params")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_learns_and_writes_the_network_that_it_judged(digits: Dataset, tmp_path: Path) -> None:
    epochs: list[Epoch] = []
    result = train(SHORT, digits, tmp_path / "new" / "net", epochs.append)
    assert [(epoch.number, epoch.epochs) for epoch in epochs] == [(1, 2), (2, 2)]
    assert epochs[1].loss < epochs[0].loss and result["loss"] == epochs[1].loss
    assert result["top1"] > 0.9 and result["epochs"] == 2
    assert sorted(files(tmp_path / "new")) == ["net-0000.params", "net-symbol.json"]
    scores = evaluate(load_exported(tmp_path / "new" / "net"), digits, 500)
    assert scores == {name: result[name] for name in scores}


def test_same_settings_give_the_same_bytes_and_another_seed_others(digits: Dataset, tmp_path: Path) -> None:
    settings = replace(SHORT, epochs=1, augment=True)
    written = []
    for run, seed in enumerate((3, 3, 4)):
        train(replace(settings, seed=seed), digits, tmp_path / str(run) / "net")
        written.append(files(tmp_path / str(run)))
    assert written[0] == written[1]
    assert written[0]["net-symbol.json"] == written[2]["net-symbol.json"]
    assert written[0]["net-0000.params"] != written[2]["net-0000.params"]


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"optimizer": "nag", "learning_rate": 0.05},
        {"schedule": "constant"},
        {"weight_decay": 0.1},
        {"augment": True},
    ],
)
def test_every_setting_trains_and_matters(digits: Dataset, tmp_path: Path, other: dict[str, Any]) -> None:
    train(replace(SHORT, epochs=1), digits, tmp_path / "usual" / "net")
    result = train(replace(SHORT, epochs=1, **other), digits, tmp_path / "other" / "net")
    assert result["top1"] > 0.5
    assert files(tmp_path / "usual")["net-0000.params"] != files(tmp_path / "other")["net-0000.params"]


def interrupt(epoch: Epoch) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_training_leaves_what_was_there(digits: Dataset, tmp_path: Path) -> None:
    before = {name: b"of before" for name in ("net-symbol.json", "net-0000.params")}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MRTError, match=r"learning_rate: .* epoch 1, batch \d+ of 40; lower it"):
        train(replace(SHORT, optimizer="sgd", learning_rate=1e30), digits, tmp_path / "net")
    assert files(tmp_path) == before
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, digits, tmp_path / "net", interrupt)
    left = files(tmp_path)
    assert left.pop("net.train.npz") and left == before


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam"])
def test_resumed_it_ends_in_the_same_bytes(digits: Dataset, tmp_path: Path, optimizer: str) -> None:
    settings = replace(SHORT, augment=True, optimizer=optimizer, epochs=3)
    train(settings, digits, tmp_path / "whole" / "net")
    for last in (1, 2):

        def stop(epoch: Epoch, last: int = last) -> None:
            if epoch.number == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(settings, digits, tmp_path / "parts" / "net", stop)
    train(settings, digits, tmp_path / "parts" / "net")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_another_trainings_checkpoint_is_refused_and_a_damaged_one(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, digits, tmp_path / "net", interrupt)
    with pytest.raises(MRTError, match=r"net.train.npz: .* \[TRAIN\] Batch was 32, is 64; delete it to start anew"):
        train(replace(SHORT, batch=64), digits, tmp_path / "net")
    kept = tmp_path / "net.train.npz"
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(MRTError, match="damaged training checkpoint"):
        train(SHORT, digits, tmp_path / "net")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"optimizer": "rmsprop"}, "optimizer: 'rmsprop': must be one of sgd, nag, adam"),
        ({"schedule": "step"}, "schedule: 'step': must be one of cosine, constant"),
        ({"epochs": 0}, "epochs: 0: must be positive"),
        ({"batch": 0}, "batch: 0: must be positive"),
        ({"learning_rate": 0.0}, "learning_rate: 0.0: must be positive"),
    ],
)
def test_refuses_settings_that_cannot_train(other: dict[str, Any], message: str) -> None:
    with pytest.raises(MRTError, match=message):
        replace(SHORT, **other)


def test_refuses_a_batch_larger_than_the_split(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MRTError, match="batch: 2000: dataset digits has only 1297"):
        train(replace(SHORT, batch=2000), digits, tmp_path / "net")


def test_refuses_a_folder_that_cannot_be_written_in_before_it_trains(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    epochs: list[Epoch] = []
    with pytest.raises(MRTError, match="cannot be written in"):
        train(SHORT, digits, tmp_path / "file" / "net", epochs.append)
    assert epochs == []


def test_networks_have_the_same_parameter_names_whenever_they_are_built() -> None:
    for name, shape in (("digits_cnn", (2, 1, 8, 8)), ("lenet", (2, 1, 28, 28)), ("cifar_resnet20_v1", (2, 3, 32, 32))):
        first, second = nets.get(name), nets.get(name)
        assert list(first.collect_params()) == list(second.collect_params())
        first.initialize()
        assert first(mx.nd.zeros(shape)).shape == (2, 10)


def test_refuses_unknown_networks() -> None:
    with pytest.raises(MRTError, match=r"unknown network 'resnet_999'.*digits_cnn.*GluonCV"):
        nets.get("resnet_999")


def test_the_shipped_digits_are_reproduced_by_their_configuration(
    digits: Dataset, project: Path, tmp_path: Path
) -> None:
    config = load(project / "mrt" / "zoo" / "digits.ini").train
    assert config is not None
    settings = TrainSettings(**config.model_dump(exclude={"dataset", "dataset_dir"}))
    shipped, again = load_exported(project / "data" / "digits"), tmp_path / "digits"
    assert evaluate(shipped, digits, 500)["top1"] >= 0.97
    result = train(settings, digits, again)
    assert result["top1"] >= 0.97
    # another processor sums floats in another order, so the weights agree but not to the last bit
    ((pictures, _),) = digits.batches("evaluation", 500)
    ours, theirs = (net(mx.nd.array(pictures)).asnumpy() for net in (load_exported(again), shipped))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.97


def test_the_shipped_lenet_knows_mnist(project: Path, shared: Path) -> None:
    dataset = datasets.get("mnist")(shared / "data", (-1, 1, 28, 28))
    assert evaluate(load_exported(project / "data" / "mnist"), dataset, 500)["top1"] >= 0.99


def test_the_shipped_resnet_is_gluoncvs_topology(project: Path) -> None:
    shipped = load_exported(project / "data" / "cifar_resnet20_v1")
    gluoncvs = nets.get("cifar_resnet20_v1")
    gluoncvs.collect_params().load(str(project / "data" / "cifar_resnet20_v1-0000.params"))
    pictures = mx.nd.array(np.random.default_rng(0).normal(size=(4, 3, 32, 32)))
    np.testing.assert_allclose(shipped(pictures).asnumpy(), gluoncvs(pictures).asnumpy(), rtol=1e-4, atol=1e-4)
