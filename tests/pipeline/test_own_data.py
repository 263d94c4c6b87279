"""Whole runs on data of one's own, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from mxnet import sym
from PIL import Image

from mrt import cli, datasets
from mrt.config import load
from mrt.run.pictures import Pictures

CONFIGURATION = """
[DEFAULT]
Model_dir={models}
Model_name={name}
Output_dir={out}
Input_shape={shape}
[CALIBRATION]
Dataset={dataset}
Dataset_dir={data}
Batch=50
[EVALUATION]
[COMPILATION]
[DATASET]
Scale={scale}
"""


def configuration(tmp_path: Path, **values: Any) -> Path:
    path = tmp_path / "net.ini"
    given = {"models": tmp_path, "out": tmp_path / "out", "scale": "", "shape": "(-1, 1, 8, 8)", **values}
    path.write_text(CONFIGURATION.format(**given))
    return path


def run(configuration: Path, *more: str) -> dict[str, Any]:
    assert cli.main([str(configuration), "--quiet", *more]) == 0
    (report,) = (configuration.parent / "out").rglob("*.report.json")
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def write_digits(folder: Path, split: str, classes: bool = True) -> None:
    """PNGs of real digits."""
    source = datasets.get("digits")(None, (-1, 1, 8, 8))
    pixels, labels = source.read(split, np.arange(source.size(split)))
    for index, (picture, label) in enumerate(zip(pixels[:, 0] * 15, labels)):
        place = folder / str(label) if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{index}.png")


def save_network(folder: Path, net: Any, shape: tuple[int, ...]) -> None:
    """A network with seeded weights, `net.…` in a folder."""
    rng = np.random.default_rng(0)
    arguments, _, _ = net.infer_shape(data=(2, *shape[1:]))
    params = {
        f"arg:{name}": mx.nd.array(rng.normal(0, (2 / max(1, int(np.prod(size[1:])))) ** 0.5, size))
        for name, size in zip(net.list_arguments(), arguments)
        if name != "data"
    }
    net.save(str(folder / "net-symbol.json"))
    mx.nd.save(str(folder / "net-0000.params"), params)


def test_pictures_in_train_and_val(project: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "photos" / "train", "train")
    write_digits(tmp_path / "photos" / "val", "evaluation")
    path = configuration(
        tmp_path, models=project / "data", name="digits", dataset="folder", data=tmp_path / "photos", scale=240
    )
    report = run(path)
    for name in ("float", "quantized", "cvm"):
        assert report["accuracy"][name]["top1"] >= 0.99
    assert report["bit_exact"] == {"samples": 200, "mismatches": 0} and report["samples"] == 500
    said = (tmp_path / "out" / "digits.report.md").read_text()
    assert f"evaluated on 500 of 500 pictures of split val of folder {tmp_path / 'photos'}" in said
    assert "calibrated on 50 of 1,297 pictures of split train" in said
    assert "compared on the first 200 pictures: the same integers" in said
    extension = json.loads((tmp_path / "out" / "digits_cvm" / "ext.json").read_text())
    assert extension["labels"] == [str(digit) for digit in range(10)]


def test_no_picture_is_both_calibrated_and_evaluated_on(project: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "photos", "evaluation")
    path = configuration(
        tmp_path, models=project / "data", name="digits", dataset="folder", data=tmp_path / "photos", scale=240
    )
    pictures = Pictures(load(path))
    dataset, start, count = pictures.compared()
    seen = {picture.tobytes() for data in pictures.batches(pictures.calibrated) for picture in np.asarray(data)}
    held_out = {picture.tobytes() for data, _ in dataset.batches("evaluation", 50, start, count) for picture in data}
    assert (len(seen), len(held_out)) == (50, 450) and not seen & held_out
    report = run(path, "--set", "EVALUATION.Iter_num=2")
    assert report["evaluated"]["samples"] == 100 and report["evaluated"]["split"] == "all"
    assert "calibrated on 50 others of it" in (tmp_path / "out" / "digits.report.md").read_text()


def test_pictures_without_labels(project: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "photos", "evaluation", classes=False)
    path = configuration(
        tmp_path, models=project / "data", name="digits", dataset="folder", data=tmp_path / "photos", scale=240
    )
    report = run(path)
    assert report["accuracy"] == {} and report["agreement"] > 0.98 and report["sqnr_db"] > 30
    assert "no labels" in report["no_accuracy"]


def test_fifteen_channels_from_arrays(tmp_path: Path) -> None:
    shape = (-1, 15, 24, 24)
    body = sym.relu(sym.Convolution(sym.var("data"), num_filter=8, kernel=(3, 3), name="c"))
    save_network(tmp_path, sym.FullyConnected(sym.Pooling(body, global_pool=True), num_hidden=4, name="f"), shape)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).normal(size=(90, *shape[1:])))
    report = run(configuration(tmp_path, name="net", shape=shape, dataset="npz", data=tmp_path / "data.npz"))
    assert report["samples"] == 40 and report["sqnr_db"] > 30
    assert report["bit_exact"] == {"samples": 40, "mismatches": 0}
    assert json.loads((tmp_path / "out" / "net_cvm" / "ext.json").read_text())["inputs"][0]["preprocess"] is None


def test_two_inputs_from_arrays(tmp_path: Path) -> None:
    body = sym.Flatten(sym.relu(sym.Convolution(sym.var("data"), num_filter=6, kernel=(3, 3), name="c")))
    body = sym.concat(sym.FullyConnected(body, num_hidden=8, name="d"), sym.var("extra"), dim=1)
    net = sym.FullyConnected(sym.relu(body), num_hidden=5, name="e")
    rng = np.random.default_rng(0)
    arguments, _, _ = net.infer_shape(data=(2, 1, 8, 8), extra=(2, 7))
    sizes = {n: size for n, size in zip(net.list_arguments(), arguments) if n not in ("data", "extra")}
    net.save(str(tmp_path / "net-symbol.json"))
    params = {f"arg:{n}": mx.nd.array(rng.normal(0, 0.3, size)) for n, size in sizes.items()}
    mx.nd.save(str(tmp_path / "net-0000.params"), params)
    np.savez(tmp_path / "data.npz", data=rng.normal(size=(80, 1, 8, 8)), extra=rng.normal(size=(80, 7)))
    shape = "data: (-1, 1, 8, 8), extra: (-1, 7)"
    report = run(configuration(tmp_path, name="net", shape=shape, dataset="npz", data=tmp_path / "data.npz"))
    assert report["samples"] == 30 and report["sqnr_db"] > 25
    assert report["bit_exact"] == {"samples": 30, "mismatches": 0}


def test_a_map_of_classes_agrees_pixel_by_pixel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = sym.relu(sym.Convolution(sym.var("data"), num_filter=8, kernel=(3, 3), pad=(1, 1), name="c"))
    save_network(tmp_path, sym.Convolution(body, num_filter=5, kernel=(1, 1), name="d"), (-1, 3, 16, 12))
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(60, 3, 16, 12)), y=rng.integers(0, 5, (60, 16, 12)))
    report = run(configuration(tmp_path, name="net", shape=(-1, 3, 16, 12), dataset="npz", data=tmp_path / "data.npz"))
    assert report["agreement_per_pixel"] and report["agreement"] > 0.95
    assert set(report["accuracy"]["cvm"]) == {"top1"}, "five classes: the top five are all"
    assert "of the pixels" in capsys.readouterr().out


def test_the_models_batch_is_one_picture_unless_told(project: Path, tmp_path: Path) -> None:
    path = configuration(tmp_path, models=project / "data", name="digits", dataset="digits", data="")
    run(path, "--set", "EVALUATION.Iter_num=1")
    assert np.load(tmp_path / "out" / "digits_cvm" / "data.npy").shape == (1, 1, 8, 8)


def test_a_model_of_a_larger_batch_than_there_are_pictures(project: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((3, 1, 8, 8)), x_val=np.ones((1, 1, 8, 8)))
    path = configuration(tmp_path, models=project / "data", name="digits", dataset="npz", data=tmp_path / "data.npz")
    assert run(path, "--set", "COMPILATION.Batch=8")["samples"] == 1
    assert np.load(tmp_path / "out" / "digits_cvm" / "data.npy").shape == (8, 1, 8, 8)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("CALIBRATION.Batch=5000", "uses all 500 pictures, so that none is left to evaluate on; lower [CALIBRATION]"),
        ("EVALUATION.Metric=my_metric:M", "metric my_metric:M: cannot be imported"),
        ("EVALUATION.Metric=top-3", "allowed: auto, none, top-1, top-5, mAP, mIoU, or my_module:my_metric"),
        ("CALIBRATION.Dataset=no_such_data:D", "no_such_data:D: cannot be imported"),
        ("CALIBRATION.Dataset=foldr", "unknown dataset 'foldr'"),
        ("EVALUATION.Twin_num=-2", "allowed: a number of pictures, 0 for none, -1 for all"),
    ],
)
def test_mistakes_are_one_line(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, reason: str
) -> None:
    write_digits(tmp_path / "photos", "evaluation")
    path = configuration(
        tmp_path, models=project / "data", name="digits", dataset="folder", data=tmp_path / "photos", scale=240
    )
    assert cli.main([str(path), "--quiet", "--set", change]) == 2
    said = capsys.readouterr().err.strip()
    assert reason in " ".join(said.split()) and "\n" not in said


@pytest.mark.parametrize("shape", [(-1, 6, 16, 16), (-1, 1, 20, 20), (-1, 4), (-1, 8, 8, 3)])
def test_a_structural_run_needs_no_dataset_that_has_such_inputs(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_network(tmp_path, sym.FullyConnected(sym.var("data"), num_hidden=10, name="f"), shape)
    path = configuration(tmp_path, name="net", shape=shape, dataset="imagenet", data="")
    report = run(path, "--random-weights", "--set", "EVALUATION.Iter_num=1")
    assert report["dataset"] == "synthetic" and report["sqnr_db"] > 20


def test_a_structural_run_of_a_network_of_several_inputs(tmp_path: Path) -> None:
    given = {"data": (-1, 3, 16, 16), "other": (-1, 3, 16, 16), "vector": (-1, 5)}
    layers = [sym.FullyConnected(sym.var(name), num_hidden=10, name=f"of_{name}") for name in given]
    net = sym.add_n(*layers)
    net.save(str(tmp_path / "net-symbol.json"))
    sizes, _, _ = net.infer_shape(**{name: (2, *shape[1:]) for name, shape in given.items()})
    named = zip(net.list_arguments(), sizes)
    mx.nd.save(
        str(tmp_path / "net-0000.params"),
        {f"arg:{name}": mx.nd.zeros(size) for name, size in named if name not in given},
    )
    shape = ", ".join(f"{name}: {size}" for name, size in given.items())
    path = configuration(tmp_path, name="net", shape=shape, dataset="imagenet", data="")
    report = run(path, "--random-weights", "--set", "EVALUATION.Iter_num=1")
    assert report["dataset"] == "synthetic" and report["sqnr_db"] > 20


def test_zero_pictures_are_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["sensitivity", "net.ini", "--pictures", "0"])
    assert ended.value.code == 2
    assert "'0' is not a whole number of 1 or more" in capsys.readouterr().err
