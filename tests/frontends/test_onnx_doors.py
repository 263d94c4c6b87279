# ruff: noqa: E402 - without the package, these tests are skipped before what needs it is imported
"""Where an ONNX model may be named: in a configuration, from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

onnx = pytest.importorskip("onnx", reason="needs mrt[onnx]")

from onnx_models import mobile, model, node, weights

import mrt
from mrt import cli
from mrt.config import load
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.run.source import load_network

INI = """[DEFAULT]
Model_name={name}
Model_dir={folder}
Output_dir={out}
Input_shape=(-1, 1, 8, 8)
Batch=20
[CALIBRATION]
Dataset=digits
[EVALUATION]
Iter_num=2
[COMPILATION]
"""


def digits_model(path: Path) -> None:
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("GlobalMaxPool", "r", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f v", "y", transB=1),
    ]
    constants = {"w": weights(8, 1, 3, 3), "b": weights(8), "v": weights(10, 8)}
    onnx.save(model(nodes, constants, ("N", 1, 8, 8)), path)


@pytest.mark.parametrize("place", ["path", "folder", "plain"])
def test_a_configuration_names_a_model(place: str, tmp_path: Path) -> None:
    digits_model(tmp_path / "net.onnx")
    name, folder = {
        "path": (str(tmp_path / "net.onnx"), ""),
        "folder": ("net.onnx", str(tmp_path)),
        "plain": ("net", str(tmp_path)),
    }[place]
    config = tmp_path / "net.ini"
    config.write_text(INI.format(name=name, folder=folder, out=tmp_path / "out"))
    assert cli.main([str(config), "--quiet"]) == 0
    assert (tmp_path / "out" / "net_cvm" / "manifest.json").is_file()
    report = json.loads((tmp_path / "out" / "net.report.json").read_text())
    assert report["bit_exact"]["mismatches"] == 0
    assert report["certificate"]["ok"]
    assert cli.main([str(config), "--quiet", "--start", "QUANTIZATION"]) == 0
    digits_model(tmp_path / "net.onnx")  # other weights: the checkpoint is not theirs
    assert cli.main([str(config), "--quiet", "--start", "QUANTIZATION"]) == 2


def test_the_command_line_takes_a_model_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    digits_model(tmp_path / "net.onnx")
    random = np.random.default_rng(0)
    for number in range(40):
        folder = tmp_path / "pictures" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(folder / f"{number}.png")
    assert cli.main(["net.onnx", "--data", "folder:pictures/", "--quiet", "--set", "CALIBRATION.Calibrate_num=1"]) == 0
    assert json.loads((tmp_path / "net.report.json").read_text())["bit_exact"]["mismatches"] == 0
    capsys.readouterr()
    assert cli.main(["net.onnx", "--quiet"]) == 2
    assert "name what to calibrate on, such as --data folder:pictures/" in capsys.readouterr().err


def test_a_torch_module_is_a_network() -> None:
    torch = pytest.importorskip("torch", reason="needs mrt[torch]")
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.Hardswish(), torch.nn.Flatten()]
    module = torch.nn.Sequential(*layers, torch.nn.Linear(8 * 64, 10)).train()
    x = np.random.default_rng(0).standard_normal((40, 1, 8, 8)).astype(np.float32)
    quantized = mrt.quantize(module, x)
    assert module.training
    with torch.no_grad():
        expected = module.eval()(torch.tensor(x[:4])).numpy()
    np.testing.assert_allclose(Executor(quantized.network)(x[:4])[0], expected, atol=1e-4)
    noise = quantized.sqnr(x)
    assert isinstance(noise, float)
    assert noise > 30


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = tmp_path / "net.ini"
    config.write_text(INI.format(name="gone.onnx", folder=tmp_path, out=tmp_path))
    with pytest.raises(MRTError, match=r"gone\.onnx"):
        load_network(load(config))


def damaged(tmp_path: Path, kind: str) -> Path:
    """A file with something wrong."""
    path = tmp_path / f"{kind}.onnx"
    made = mobile()
    if kind == "truncated":
        path.write_bytes(made.SerializeToString()[:-2000])
    elif kind == "text":
        path.write_text("no model at all")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cyclic":
        made.graph.node[0].input[0] = "s0"
    elif kind == "absurd shape":
        made.graph.initializer[0].dims[0] = 2**40
    elif kind == "unknown operator":
        made.graph.node[0].op_type = "Convolve"
    elif kind == "newer opset":
        made.opset_import[0].version = 999
    elif kind == "huge input":
        made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**40
    elif kind in ("data missing", "data outside", "data short"):
        onnx.save(made, path, save_as_external_data=True, location="net.data", size_threshold=0)
        made = onnx.load(path, load_external_data=False)
        if kind == "data missing":
            (tmp_path / "net.data").unlink()
        if kind == "data short":
            (tmp_path / "net.data").write_bytes(b"short")
        if kind == "data outside":
            made.graph.initializer[0].external_data[0].value = "../net.data"
    if kind not in ("truncated", "text", "empty"):
        path.write_bytes(made.SerializeToString())
    return path


DAMAGE = {
    "truncated": "not an ONNX model, or truncated",
    "text": "not an ONNX model",
    "empty": "it is no ONNX model",
    "cyclic": "it reads s0, which is neither an input",
    "absurd shape": "cannot be read",
    "unknown operator": "operator Convolve is not supported",
    "newer opset": "its opset 999 is newer",
    "huge input": "input x: a shape of",
    "data missing": "its data is missing",
    "data outside": "which is not within the model's folder",
    "data short": "ends before its data does",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_ends_in_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "net.ini"
    text = INI.format(name=damaged(tmp_path, kind), folder="", out=tmp_path / "out")
    shape = f"(-1, 3, {2**40}, 16)" if kind == "huge input" else "(-1, 3, 16, 16)"
    text = text.replace("(-1, 1, 8, 8)", shape).replace("Dataset=digits", f"Dataset=npz\nDataset_dir={tmp_path}/x.npz")
    config.write_text(text)
    np.savez(tmp_path / "x.npz", calibration=np.zeros((4, 3, 16, 16), np.float32), data=np.zeros((4, 3, 16, 16)))
    assert cli.main([str(config), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert DAMAGE[kind] in error
    assert len(error.splitlines()) == 1
