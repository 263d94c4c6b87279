"""[CALIBRATION] Calibrator, Calibrators and Lambda, and the switches of quantization."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrt.config import Config, load
from mrt.errors import MRTError

SMALL = "[DEFAULT]\nModel_name=net\nInput_shape=(-1, 1, 8, 8)\n[CALIBRATION]\nDataset=digits\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "net.ini").write_text(SMALL)
    return tmp_path / "net.ini"


def loaded(path: Path, *sets: str) -> Config:
    return load(path, sets)


def test_defaults(path: Path) -> None:
    config = loaded(path)
    assert (config.calibration.calibrator, config.calibration.calibrators) == ("mse", {})
    assert (config.prepare.equalize, config.quantization.rounding) == (True, "compensated")
    assert config.quantization.bias_correction and config.quantization.offset_activations


def test_calibrators_of_single_tensors(path: Path) -> None:
    given = "CALIBRATION.Calibrators=conv0: absmax, *_relu?: Percentile,"
    assert loaded(path, given).calibration.calibrators == {"conv0": "absmax", "*_relu?": "percentile"}


def test_lambda_alone_is_a_calibrator(path: Path) -> None:
    assert loaded(path, "CALIBRATION.Lambda=25").calibration.calibrator == "lambda"
    both = loaded(path, "CALIBRATION.Lambda=25", "CALIBRATION.Calibrator=auto").calibration
    assert (both.calibrator, both.lambda_) == ("auto", 25)
    single = loaded(path, "CALIBRATION.Lambda=25", "CALIBRATION.Calibrator=mse", "CALIBRATION.Calibrators=a: lambda")
    assert single.calibration.calibrator == "mse"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("CALIBRATION.Calibrator=median", "should be 'absmax', 'percentile', 'mse', 'entropy', 'lambda' or 'auto'"),
        ("CALIBRATION.Calibrators=a: median", "a: should be 'absmax', 'percentile', 'mse', 'entropy' or 'lambda'"),
        ("CALIBRATION.Calibrators=a: auto", "a: should be 'absmax'"),
        ("CALIBRATION.Calibrators=a mse", "'a mse' is not of the form name: value"),
        ("CALIBRATION.Calibrators=a: mse, a: absmax", "a is given twice"),
        ("CALIBRATION.Calibrator=lambda", "the calibrator lambda needs a number"),
        ("CALIBRATION.Calibrators=a: lambda", "the calibrator lambda needs a number"),
        ("PREPARE.Equalize=perhaps", "boolean"),
        ("QUANTIZATION.Rounding=up", "should be 'nearest', 'compensated' or 'learned'"),
        ("QUANTIZATION.Bias_correction=2", "boolean"),
        ("QUANTIZATION.Offset_activations=maybe", "boolean"),
    ],
)
def test_bad_values_are_one_line(path: Path, given: str, wrong: str) -> None:
    with pytest.raises(MRTError) as caught:
        loaded(path, given)
    assert wrong in str(caught.value) and "\n" not in str(caught.value)


def test_lambda_that_nothing_uses_is_refused(path: Path) -> None:
    with pytest.raises(MRTError, match=r"\[CALIBRATION\] lambda is unused with the calibrator mse"):
        loaded(path, "CALIBRATION.Lambda=25", "CALIBRATION.Calibrator=mse")
