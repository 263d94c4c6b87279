"""The real networks on real pictures: MXNet in float64 and `cvm.formal` give the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cvm import formal
from cvm.certificate import certify

from mrt import datasets
from mrt.calibrate.calibrator import calibrate
from mrt.config import load
from mrt.executors.mxnet import Executor
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import quantize
from mrt.run.source import load_network
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager

CALIBRATED, COMPARED = 8, 2


@pytest.mark.parametrize("name", ["squeezenet1.0", "tf_mobilenetv2_1.0"])
def test_integers_are_the_same_everywhere(name: str, project: Path, shared: Path) -> None:
    overrides = [f"DEFAULT.Model_dir={shared / 'models'}", f"CALIBRATION.Dataset_dir={shared / 'data' / 'imagenet'}"]
    config = load(project / "mrt" / "zoo" / f"{name}.ini", overrides)
    preprocess = datasets.Preprocess(**config.dataset.model_dump()) if config.dataset else None
    pictures = datasets.get("imagenet")(config.calibration.dataset_dir, config.default.input_shape, preprocess)
    (data, _), *_ = pictures.batches("calibration", CALIBRATED, 0, CALIBRATED)
    network = load_network(config)
    prepared = PassManager(PREPARE, verify=data[:1]).run(network)
    quantized = quantize(prepared, calibrate(prepared, [data]))
    model = compile_model(quantized)
    assert certify(model).ok
    integers = quantize_input(data[:COMPARED], quantized.input)
    expected = Executor(quantized.graph, dtype="float64")(integers)
    for a, b in zip(expected, formal.run(model, integers)):
        np.testing.assert_array_equal(a.astype(np.int64), b)
    (real,) = Executor(network)(data[:COMPARED])
    close = dequantize(expected[0], quantized.outputs[0])
    assert (real.argmax(axis=1) == close.argmax(axis=1)).all()
    assert 10 * np.log10(np.square(real).sum() / np.square(real - close).sum()) > 12
