"""Datasets and metrics that users write, and their mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrt import datasets
from mrt.datasets import Dataset
from mrt.errors import MRTError

SHAPE = (-1, 3)
MODULE = """
import mxnet as mx
import numpy as np
from sibling import SCALE

class Data:
    class_names = ["a", "b"]
    labels = np.arange(10)
    def __init__(self, split, folder=None):
        self.first = 0 if split == "evaluation" else 100
        self.folder = folder
    def __len__(self):
        return 10
    def __getitem__(self, i):
        return SCALE * np.full(3, self.first + i, "float64"), i % 2

def Calibration(split):
    assert split == "calibration"
    return Data(split)

def gluon(split):
    return mx.gluon.data.ArrayDataset(mx.nd.arange(12).reshape((4, 3)), mx.nd.arange(4))

class Two(Data):
    def __getitem__(self, i):
        return {"tokens": np.arange(4) + i, "mask": np.ones((2, 1))}, None

class Fails(Data):
    def __getitem__(self, i):
        return 1 / i, 0

class Ragged(Data):
    def __getitem__(self, i):
        return np.zeros(3), np.zeros(i)

class Wide(Data):
    def __getitem__(self, i):
        return np.zeros(4), 0

class NoPair(Data):
    def __getitem__(self, i):
        return np.zeros(3)

class Total:
    percent = True
    def __init__(self):
        self.sum = 0.0
    def update(self, labels, outputs):
        self.sum += float(outputs[0].sum() + labels.sum())
    def values(self):
        return {"sum": self.sum}

class Judged(Data):
    def metric(self):
        return Total()

class Half:
    def update(self, labels, outputs):
        pass
"""


@pytest.fixture
def own(tmp_path: Path) -> Any:
    (tmp_path / "my_data.py").write_text(MODULE)
    (tmp_path / "sibling.py").write_text("SCALE = 2")

    def load(name: str, folder: Path | None = None, shape: Any = SHAPE) -> Dataset:
        return datasets.load(f"{tmp_path / 'my_data.py'}:{name}", folder, shape)

    return load


def test_samples_are_stacked_in_the_order_of_the_class(own: Any) -> None:
    dataset = own("Data")
    parts = list(dataset.batches("evaluation", 4))
    assert [len(labels) for _, labels in parts] == [4, 4, 2]
    data = np.concatenate([data for data, _ in parts])
    assert data.dtype == np.float32 and data[:, 0].tolist() == [2.0 * i for i in range(10)]
    assert np.concatenate([labels for _, labels in parts]).tolist() == [0, 1] * 5
    ((first, _),) = dataset.batches("calibration", 1, 0, 1)
    assert first.tolist() == [[200.0] * 3]
    assert dataset.labels == ["a", "b"] and dataset.preprocess_info() is None


def test_the_folder_is_passed_on(own: Any, tmp_path: Path) -> None:
    assert own("Data", tmp_path)._split("evaluation").folder == tmp_path
    assert own("Data")._split("evaluation").folder is None


def test_a_function_that_returns_a_gluon_dataset_will_do(own: Any) -> None:
    ((data, labels),) = own("gluon").batches("evaluation", 4)
    assert np.array_equal(data, np.arange(12).reshape(4, 3)) and labels.tolist() == [0, 1, 2, 3]


def test_several_inputs_each_with_its_own_batch_axis(own: Any) -> None:
    dataset = own("Two", shape={"tokens": (-1, 4), "mask": (2, -1, 1)})
    ((feed, labels),) = dataset.batches("evaluation", 3, 0, 3)
    assert feed["tokens"].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    assert feed["tokens"].dtype.kind == "i" and feed["mask"].shape == (2, 3, 1)
    assert not dataset.labelled and labels.tolist() == [-1] * 3


def test_an_evaluation_that_begins_as_the_calibration_does_is_warned_of(
    own: Any, caplog: pytest.LogCaptureFixture
) -> None:
    own("Data").size("evaluation")
    assert not caplog.records
    own("gluon").size("evaluation")
    assert "begin with the same sample" in caplog.text


def test_whoever_only_calibrates_needs_no_evaluation_split(own: Any) -> None:
    assert own("Calibration").size("calibration") == 10


def test_its_own_metric_judges(own: Any) -> None:
    metric = own("Judged").metric()
    metric.update(np.array([1, 2]), metric.select([np.array([[0.5], [0.25]])]))
    assert metric.values() == {"sum": 3.75} and metric.percent


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Nothing", "my_data.py has no Nothing"),
        ("Fails", r"ZeroDivisionError: division by zero \(.*my_data.py, line 30\)"),
        ("Ragged", r"the label has different shapes: .*pad them"),
        ("Wide", "input data has the shape 5,4; it must be -1,3"),
        ("NoPair", r"sample 0 of split evaluation is no pair \(data, label\)"),
        ("Two", "has no data, which the network reads; it has tokens, mask"),
    ],
)
def test_mistakes_are_one_line(own: Any, name: str, reason: str) -> None:
    with pytest.raises(MRTError, match=reason) as caught:
        list(own(name).batches("evaluation", 5))
    assert "\n" not in str(caught.value)


def test_modules_that_cannot_be_imported_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match="no_such_module:Data: cannot be imported: ModuleNotFoundError"):
        datasets.load("no_such_module:Data", None, SHAPE)
    (tmp_path / "broken.py").write_text("x = 1\nraise ValueError('no')\n")
    with pytest.raises(MRTError, match=r"cannot be imported: ValueError: no \(.*broken.py, line 2\)"):
        datasets.load(f"{tmp_path / 'broken.py'}:Data", None, SHAPE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(MRTError, match="SyntaxError"):
        datasets.load(f"{tmp_path / 'broken.py'}:Data", None, SHAPE)


def test_a_metric_without_its_methods_is_refused(own: Any, tmp_path: Path) -> None:
    with pytest.raises(MRTError, match="this has no values"):
        datasets.own_metric(f"{tmp_path / 'my_data.py'}:Half")()
