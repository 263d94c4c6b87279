"""From a picture to an answer, through the interface and the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cvm
import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal, load
from cvm.__main__ import main
from cvm.errors import CVMWarning
from cvm.package import load_package, save_package

PREPROCESS = {
    "layout": "NCHW",
    "channels": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.5, 0.5],
    "scale": 255.0,
    "resize": 8,
    "interpolation": "bilinear",
}
EXT = {
    "inputs": [{"name": "data", "shape": [-1, 3, 6, 6], "precision": 8, "scale": "1/63", "preprocess": PREPROCESS}],
    "outputs": [{"scale": "1/63"}],
    "labels": ["red", "green", "blue"],
}
RED = np.zeros((20, 16, 3), np.uint8) + np.array([255, 0, 0], np.uint8)


@pytest.fixture
def folder(tmp_path):
    """How much there is of each colour: the sum of each channel."""
    attrs = {"axis": "(2, 3)", "keepdims": "False"}
    model = Model([Node("null", "data"), Node("sum", "y", ((0, 0),), attrs)], [(1, 0)], {}, {"data": 8}, (1, 3, 6, 6))
    save_package(tmp_path / "m", model, EXT)
    return tmp_path / "m"


def test_predict_gives_labels_and_scores(folder) -> None:
    model = load(folder)
    first, *others = model.predict(RED)
    assert (first.label, first.index) == ("red", 0)
    assert first.score == pytest.approx(36 * 2.0, rel=0.01)  # (1 - 0.5) / 0.25 on each of 36 pixels
    assert [(other.label, other.score) for other in others] == [("green", -36.0), ("blue", -36.0)]
    assert [p.label for p in model.predict(RED[:, :, [1, 0, 2]], top=1)] == ["green"]
    real = model.preprocess(RED)
    assert real.shape == (1, 3, 6, 6) and real.dtype == np.float32
    np.testing.assert_array_equal(real[0, :, 0, 0], [2, -1, -1])


def test_pixels_that_nobody_preprocessed_are_warned_of_once(folder) -> None:
    model, pixels = load(folder), RED[None, :6, :6].transpose(0, 3, 1, 2)
    with pytest.warns(CVMWarning, match=r"36 of 108 values lie outside \[-2.01587, 2.01587\].*saturate") as caught:
        model.quantize_input(pixels)
        model.quantize_input(pixels)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (RED[:, :, 0], r"uint8 of shape \(20, 16\), expected uint8 \(H, W, 3\)"),
        (RED.astype(np.float32), "float32"),
        (RED[:0], "shape"),
        (RED[:, :, :2], "expected uint8"),
        ("absent.png", "cannot read absent.png"),
        (__file__, "is not a readable picture"),
        (None, "expected uint8"),
    ],
)
def test_what_is_no_picture_is_refused(folder, picture, message) -> None:
    with pytest.raises(CVMError, match=message) as refused:
        load(folder).predict(picture)
    assert "\n" not in str(refused.value)


def test_without_a_record_there_is_no_preprocessing(folder) -> None:
    model = load_package(folder).model
    bare = {"inputs": [{"scale": "1"}]}
    save_package(folder, model, bare)
    with pytest.raises(CVMError, match="no input with the making from pictures"):
        load(folder).predict(RED)


def run(*arguments: object) -> int:
    return main(["run", *map(str, arguments)])


@pytest.mark.parametrize("backend", [(), ("--backend", "formal")])
def test_the_command_says_what_is_on_a_picture(folder, tmp_path, backend, capsys) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(RED).save(tmp_path / "red.png")
    assert run(folder, "--input", tmp_path / "red.png", "--top", 2, *backend) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["72.0000", "red"],
        ["-36.0000", "green"],
    ]
    assert run(folder, "--input", tmp_path / "red.png", "--output", tmp_path / "y.npy", *backend) == 0
    assert np.load(tmp_path / "y.npy").tolist() == [[36 * 126, 36 * -63, 36 * -63]]


@pytest.mark.parametrize("backend", ["native", "formal"])
def test_the_command_takes_floats_and_integers(folder, tmp_path, backend, capsys) -> None:
    model = load_package(folder).model
    real = np.random.default_rng(0).uniform(-2, 2, (4, 3, 6, 6))
    integers = np.floor(real * 63 + 0.5).astype(np.int32)
    (expected,) = formal.run(model, integers)
    for array in (real, real.astype(np.float32).astype(np.float64), integers, integers.astype(np.int64)):
        np.save(tmp_path / "x.npy", array)
        options = ("--output", tmp_path / "y.npy", "--backend", backend)
        assert run(folder, "--input", tmp_path / "x.npy", *options) == 0
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    assert capsys.readouterr().err == ""
    np.save(tmp_path / "x.npy", real * 2)
    assert run(folder, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--backend", backend) == 0
    warned = capsys.readouterr().err
    assert warned.startswith("cvm: warning: input 'data': ") and warned.count("\n") == 1


def test_the_command_refuses_in_one_line(folder, tmp_path, capsys) -> None:
    np.save(tmp_path / "four.npy", np.zeros((4, 3, 6, 6), np.int8))
    np.save(tmp_path / "nan.npy", np.full((1, 3, 6, 6), np.nan))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    for options, message in [
        (("--input", tmp_path / "four.npy"), "does not hold the class scores of one picture"),
        (("--input", tmp_path / "nan.npy"), "NaN"),
        (("--input", tmp_path / "broken.png"), "not a readable picture"),
        (("--input", tmp_path / "four.npy", "--top", 0), "--top 0"),
    ]:
        assert run(folder, *options) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_where_the_runtime_is_not_built_the_command_says_so(folder, tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 6, 6), np.int8))
    script = (
        "import sys\n"
        "sys.modules['cvm._native'] = None\n"
        "from cvm.__main__ import main\n"
        f"sys.exit(main(['run', {str(folder)!r}, '--input', {str(tmp_path / 'x.npy')!r}, *sys.argv[1:]]))\n"
    )
    root = {"PYTHONPATH": str(Path(cvm.__file__).parents[1])}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=root, check=False)
    assert done.returncode == 2 and "native runtime is not installed" in done.stderr and done.stderr.count("\n") == 1
    done = subprocess.run([*command, "--backend", "formal"], capture_output=True, text=True, env=root, check=False)
    assert done.returncode == 0 and "red" in done.stdout
