# ruff: noqa: E402 - without the package, these tests are skipped before what needs it is imported
"""Whole ONNX models: the float graph gives what ONNX Runtime gives, the integers are exact and close to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs mrt[onnx]")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from onnx_models import WHOLE, mobile, model, node, weights

import mrt
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends.reading import read_network
from mrt.graph import Array

TOLERANCE = 1e-4
DECIBELS = 22


def expected(made: Any, x: Array) -> Array:
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    fixed = session.get_inputs()[0].shape[0] == 1
    parts = [x[i : i + 1] for i in range(len(x))] if fixed else [x]
    result: Array = np.concatenate([session.run(None, {"x": part})[0] for part in parts])
    return result


def pictures(made: Any, count: int) -> Array:
    sizes = [dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(3).standard_normal((count, *sizes[1:])).astype(np.float32)


@pytest.mark.parametrize("name", WHOLE)
def test_a_model_becomes_the_same_network_and_exact_integers(name: str) -> None:
    made = WHOLE[name]()
    x = pictures(made, 48)
    quantized = mrt.quantize(made, x)
    np.testing.assert_allclose(Executor(quantized.network)(x[:5])[0], expected(made, x[:5]), atol=TOLERANCE)
    report = quantized.evaluate(x[:8], metric=None)
    assert report.sqnr_db is not None and report.sqnr_db > DECIBELS
    assert report.bit_exact is not None and report.bit_exact.mismatches == 0
    assert quantized.certificate.ok


def test_a_file_with_external_data_is_read(tmp_path: Path) -> None:
    made = mobile()
    path = tmp_path / "net.onnx"
    onnx.save(made, path, save_as_external_data=True, location="net.data", size_threshold=0)
    x = pictures(made, 2)
    network = read_network(str(path), (-1, 3, 16, 16))
    np.testing.assert_allclose(Executor(network)(x)[0], expected(mobile_again(path), x), atol=TOLERANCE)


def mobile_again(path: Path) -> Any:
    return onnx.load(path)


def test_quantization_elsewhere_becomes_ranges() -> None:
    """QuantizeLinear and DequantizeLinear: what they clamp stays clamped, their rounding is left out."""
    zero, scale = np.array(128, np.uint8), np.array(1 / 64, np.float32)
    w = weights(4, 3, 1, 1)
    steps = np.array(np.abs(w).max() / 127, np.float32)
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "wq ws wz", "w"),
        node("Conv", "d w", "y"),
    ]
    constants = {
        **{"s": scale, "z": zero, "wq": np.round(w / steps).astype(np.int8), "ws": steps},
        "wz": np.array(0, np.int8),
    }
    made = model(nodes, constants)
    x = 3 * pictures(made, 4)
    ours, theirs = Executor(read_network(made, (-1, 3, 16, 16)))(x)[0], expected(made, x)
    assert 0 < np.abs(ours - theirs).max() < 3 * 0.5 / 64 * np.abs(w).sum(1).max()  # half a step of each input


def test_suppression_is_cut_off_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c s0", "boxes"),
        node("Reshape", "c s1", "scores"),
        node("NonMaxSuppression", "boxes scores most overlap", "picked"),
        node("Cast", "picked", "y", to=onnx.TensorProto.FLOAT),
    ]
    constants = {
        **{"w": weights(4, 3, 1, 1), "s0": np.array([0, 256, 4]), "s1": np.array([0, 1, 1024])},
        **{"most": np.array([5]), "overlap": np.array([0.5], np.float32)},
    }
    network = read_network(model(nodes, constants), (-1, 3, 16, 16))
    assert [Executor(network)(pictures(mobile(), 2))[i].shape for i in range(2)] == [(2, 256, 4), (2, 1, 1024)]
    assert "picked (NonMaxSuppression): suppression and what follows it are left out" in caplog.text


def test_an_operator_that_is_not_supported_is_named() -> None:
    with pytest.raises(MRTError, match=r"^node y \(Det\): operator Det is not supported; export the model without it"):
        read_network(model([node("Det", "x", "y")], {}), (-1, 3, 16, 16))


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(MRTError, match=r"input x: a shape of \(-1, 4, 16, 16\) is given, the model has"):
        read_network(mobile(), (-1, 4, 16, 16))
