"""`mrt.quantize` and the network that it gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cvm
import mxnet as mx
import numpy as np
import pytest
from sklearn.datasets import load_digits

import mrt
from mrt import cli, datasets
from mrt.config import load
from mrt.frontends import mxnet as mxnet_files

SHAPE = (-1, 1, 8, 8)


@pytest.fixture(scope="module")
def digits() -> datasets.Dataset:
    return datasets.load("digits", None, SHAPE)


@pytest.fixture(scope="module")
def pictures(digits: datasets.Dataset) -> tuple[Any, Any]:
    return next(digits.batches("evaluation", 100))


@pytest.fixture(scope="module")
def block() -> Any:
    mx.random.seed(1)
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(4, 3, activation="relu"), mx.gluon.nn.Flatten(), mx.gluon.nn.Dense(10))
    net.initialize(mx.init.Xavier())
    return net


@pytest.fixture(scope="module")
def model(project: Path, digits: datasets.Dataset) -> mrt.IntegerModel:
    return mrt.quantize(project / "data" / "digits-symbol.json", digits)


@pytest.mark.parametrize(
    "name, shape, keys", [("digits", SHAPE, []), ("mnist", (-1, 1, 28, 28), ["CALIBRATION.Batch=40"])]
)
def test_it_is_the_recipe_of_the_command_line(
    project: Path, name: str, shape: Any, keys: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue("shared") / "data" if name == "mnist" else None
    keys = [*keys, *([f"CALIBRATION.Dataset_dir={folder}"] if folder else []), "EVALUATION.Iter_num=0"]
    sets = [*keys, f"DEFAULT.Output_dir={tmp_path}", f"COMPILATION.Dump_dir={tmp_path}"]
    config = project / "mrt/zoo" / f"{name}.ini"
    assert cli.main([str(config), *(part for text in sets for part in ("--set", text))]) == 0
    recipe = mrt.Recipe.from_config(load(config, keys))
    model = mrt.quantize(project / "data" / name, datasets.load(name, folder, shape), recipe=recipe)
    saved = model.save(tmp_path / "by_hand")
    for file in ("symbol", "params", "data.npy", "ext.json"):
        assert (saved / file).read_bytes() == (tmp_path / f"{name}_cvm" / file).read_bytes(), file


def test_a_call_gives_what_the_saved_model_computes(model: mrt.IntegerModel, pictures: Any, tmp_path: Path) -> None:
    runtime = cvm.load(model.save(tmp_path / "digits"))
    data, _ = pictures
    expected = runtime.dequantize_output(runtime(runtime.quantize_input(data)))
    np.testing.assert_array_equal(model(data), expected)


def test_its_measurements(model: mrt.IntegerModel, digits: datasets.Dataset, pictures: Any) -> None:
    data, labels = pictures
    assert model.certificate.ok
    ratio, outputs = model.sqnr(data), model(data)
    assert isinstance(ratio, float) and ratio > 30
    assert isinstance(outputs, np.ndarray)
    report = model.evaluate((data, labels), metric="top1")
    assert report.accuracy["cvm"]["top1"] == np.mean(outputs.argmax(axis=1) == labels)
    assert report.bit_exact and report.bit_exact.samples == 100 and report.bit_exact.mismatches == 0
    whole = model.evaluate(digits)
    assert whole.samples == digits.size("evaluation")
    assert whole.accuracy["cvm"]["top1"] > 0.98
    found = model.sensitivity(data, pictures=20)
    assert found.pictures == 20
    assert {operator.operator for operator in found.operators} >= {"Convolution", "FullyConnected"}


def test_networks_in_every_form_give_the_same_integers(block: Any, pictures: Any, tmp_path: Path) -> None:
    data, _ = pictures
    block.hybridize()
    block(mx.nd.array(data))
    block.export(str(tmp_path / "net"))
    path = tmp_path / "net-symbol.json"
    symbol, params = mxnet_files.load_symbol(path), mx.nd.load(str(tmp_path / "net-0000.params"))
    graph = mxnet_files.from_symbol(symbol, mxnet_files.load_params(tmp_path / "net-0000.params"), {"data": SHAPE})
    first, *others = (mrt.quantize(net, data)(data) for net in (block, path, tmp_path / "net", (symbol, params), graph))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_layer_that_nothing_uses_and_that_has_no_shape_yet_is_left_away(pictures: Any) -> None:
    class Features(mx.gluon.HybridBlock):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.layer, self.classifier = mx.gluon.nn.Dense(6), mx.gluon.nn.Dense(10)

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return self.layer(x)

    net = Features()
    net.initialize(mx.init.Xavier())
    noise = mrt.quantize(net, pictures[0]).sqnr(pictures[0])
    assert isinstance(noise, float) and noise > 30


def test_data_in_every_form_gives_the_same_integers(block: Any, pictures: Any) -> None:
    data, labels = pictures
    loader = mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(data, labels), batch_size=16)
    forms = (data, (data, labels), {"data": data}, [data[:50], data[50:]], zip(data, labels), loader, iter(data),
             mx.nd.array(data))  # fmt: skip
    first, *others = (mrt.quantize(block, form, input_shape=SHAPE)(data) for form in forms)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_recipe_has_every_switch() -> None:
    recipe = mrt.Recipe(calibrator="entropy", equalize=False, input_precision=7)
    assert recipe.calibration.calibrator == "entropy"
    assert not recipe.prepare.equalize
    assert recipe.replace(input_precision=9).quantization.input_precision == 9
    with pytest.raises(mrt.MRTError, match="no switch calibrater"):
        mrt.Recipe(calibrater="mse")
    with pytest.raises(mrt.MRTError, match="input_precision = 99"):
        mrt.Recipe(input_precision=99)


class Picture(mx.gluon.nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """A picture and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = mx.gluon.nn.Conv2D(4, 3), mx.gluon.nn.Dense(3)

    def hybrid_forward(self, F: Any, picture: Any, vector: Any) -> Any:
        return self.dense(F.concat(F.Flatten(self.conv(picture)), vector, dim=1))


def test_two_inputs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = {"picture": random.normal(size=(64, 1, 8, 8)), "vector": random.normal(size=(64, 5))}
    net = Picture()
    net.initialize(mx.init.Xavier())
    model = mrt.quantize(net, data)
    ratio = model.sqnr(data)
    assert isinstance(ratio, float) and ratio > 25
    report = model.evaluate(data)
    assert report.bit_exact and report.bit_exact.mismatches == 0
    runtime = cvm.load(model.save(tmp_path / "two"))
    np.testing.assert_array_equal(runtime.dequantize_output(runtime(runtime.quantize_input(data))), model(data))


def test_a_metric_of_ones_own(model: mrt.IntegerModel, pictures: Any) -> None:
    class Highest:
        def __init__(self) -> None:
            self.seen: list[float] = []

        def update(self, labels: Any, outputs: Any) -> None:
            self.seen.extend(outputs[0].max(axis=1))

        def values(self) -> dict[str, float]:
            return {"highest": float(max(self.seen))}

    report = model.evaluate(pictures, metric=Highest)
    assert report.accuracy["cvm"]["highest"] == pytest.approx(float(np.max(model(pictures[0]))))


@pytest.mark.parametrize(
    ("net", "data", "said"),
    [
        (7, np.zeros((4, 1, 8, 8)), "int is no network"),
        ("nowhere/net", np.zeros((4, 1, 8, 8)), "nowhere/net"),
        (None, np.zeros((4, 3, 8, 8)), "cannot take one such input"),
        (None, [], "the data has no samples"),
        (None, 5, "int is no data"),
        (None, np.full((4, 1, 8, 8), np.nan), "not finite"),
        (None, (np.zeros((4, 1, 8, 8)), np.zeros(3)), "4 samples and 3 labels"),
        (None, np.array([["a"]]), "no numbers"),
    ],
)
def test_bad_input_is_one_line(block: Any, net: Any, data: Any, said: str) -> None:
    shape = None if isinstance(data, np.ndarray) and data.ndim == 4 else SHAPE
    with pytest.raises(mrt.MRTError, match=re.escape(said)) as error:
        mrt.quantize(block if net is None else net, data, input_shape=shape)
    assert "\n" not in str(error.value)


def test_a_metric_that_does_not_fit_is_refused(model: mrt.IntegerModel, pictures: Any) -> None:
    data, labels = pictures
    with pytest.raises(mrt.MRTError, match=r"metric top1: .*labels from 100"):
        model.evaluate((data, labels + 100), metric="top1")
    with pytest.raises(mrt.MRTError, match="metric=best: must be"):
        model.evaluate((data, labels), metric="best")


def folder_of_digits(root: Path) -> Path:
    """A folder of pictures of the digits 0 to 2; returns one of them."""
    from PIL import Image

    images = load_digits()
    for index in range(900):
        if images.target[index] < 3:
            part = root / ("val" if index % 5 == 0 else "train") / str(images.target[index])
            part.mkdir(parents=True, exist_ok=True)
            Image.fromarray((images.images[index] * 15.9).astype(np.uint8)).save(part / f"{index}.png")
    return next(root.glob("val/1/*.png"))


def example(project: Path, name: str, *arguments: Any) -> str:
    path = project / "docs" / "examples" / name
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith('"""')]
    assert len(lines) <= 15
    environment = {**os.environ, "PYTHONPATH": str(project)}
    command = [sys.executable, str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_a_folder(project: Path, tmp_path: Path) -> None:
    picture = folder_of_digits(tmp_path / "pictures")
    said = example(project, "folder.py", tmp_path / "pictures", tmp_path / "model", picture)
    accuracy, predicted = said.splitlines()[-1].split("} ", 1)
    assert float(re.findall(r"'top1': ([0-9.]+)", accuracy)[-1]) > 0.95
    assert re.findall(r"'([012])'", predicted)[0] == "1"


def test_the_example_of_two_inputs(project: Path, tmp_path: Path) -> None:
    assert "(64, 4)" in example(project, "two_inputs.py", tmp_path / "model")


def test_the_example_of_an_own_metric(project: Path) -> None:
    assert "mean error" in example(project, "own_metric.py")
