"""Training a detector on pictures with boxes."""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mrt import datasets, nets
from mrt.datasets import Dataset
from mrt.datasets.voc_digits import VOCDigits
from mrt.errors import MRTError
from mrt.train import Epoch, TrainSettings, train
from mrt.train.detection import SSDObjective

SHAPE = (-1, 3, 128, 128)
SHORT = TrainSettings(
    network="ssd_digits", epochs=3, batch=4, optimizer="adam", learning_rate=0.003, weight_decay=0.0, augment=True
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    VOCDigits.compose(root / "voc_digits", {"trainval": 8, "test": 3})
    return datasets.get("voc_digits")(root, SHAPE)


def test_a_detector_learns_and_is_written_with_its_boxes(pictures: Dataset, tmp_path: Path) -> None:
    epochs: list[Epoch] = []
    result = train(SHORT, pictures, tmp_path / "net", epochs.append)
    assert epochs[-1].loss < 0.8 * epochs[0].loss
    assert 0 <= result["mAP"] <= 1
    net = mx.gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params"))
    ((data, labels),) = pictures.batches("evaluation", 3)
    outputs = [array.asnumpy() for array in net(mx.nd.array(data))]
    assert [output.shape for output in outputs] == [(3, 100, 1), (3, 100, 1), (3, 100, 4)]
    metric = pictures.metric()
    metric.update(labels, metric.select(outputs))
    assert metric.values()["mAP"] == pytest.approx(result["mAP"])


def objective() -> SSDObjective:
    mx.random.seed(0)
    network = nets.get("ssd_digits")
    network.initialize(mx.init.Xavier())
    return SSDObjective(network, (1, *SHAPE[1:]))


def test_a_picture_without_objects_is_all_background(pictures: Dataset) -> None:
    data, labels = next(pictures.batches("train", 2, 0, 2))
    loss = objective()
    with autograd.record():
        both = loss(data, labels).asnumpy()
        none = loss(data, np.where(np.arange(2).reshape(2, 1, 1) == 0, labels, -1.0)).asnumpy()
    assert np.isfinite(both).all() and np.isfinite(none).all()
    assert both[1] > none[1] == 0.0  # hard negatives are three for each object


def test_rows_that_are_no_objects_change_nothing(pictures: Dataset) -> None:
    data, labels = next(pictures.batches("train", 2, 0, 2))
    more = np.concatenate([labels, np.full((2, 3, 6), -1.0)], axis=1)
    loss = objective()
    with autograd.record():
        np.testing.assert_array_equal(loss(data, labels).asnumpy(), loss(data, more).asnumpy())


def test_networks_that_do_not_detect_are_refused(pictures: Dataset, tmp_path: Path) -> None:
    settings = TrainSettings(network="mobilenet0.25", epochs=1, batch=4)
    with pytest.raises(MRTError, match="only networks of GluonCV's SSD kind learn to detect"):
        train(settings, pictures, tmp_path / "net")
    assert not list(tmp_path.iterdir())
