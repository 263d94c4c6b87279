"""Bad configurations are refused in one line: the file, the section, the key, what is wrong, what is allowed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrt.config import load
from mrt.config.raw import SCHEMA
from mrt.config.yaml import VOCABULARY
from mrt.errors import MRTError

SMALL = "[DEFAULT]\nModel_name=net\nInput_shape=(-1, 1, 8, 8)\n[CALIBRATION]\nDataset=digits\n"


def refusal(path: Path, text: str | bytes | None = None, **arguments: object) -> str:
    """The message with which `text` in `path` is refused."""
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(MRTError) as caught:
        load(path, **arguments)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "value", "wrong", "allowed"),
    [
        ("DEFAULT.Input_shape", "(1, 3, 8, 8)", "exactly one axis must be -1", "such as (-1, 3, 224, 224)"),
        ("DEFAULT.Input_shape", "(-1, -1, 8)", "exactly one axis must be -1", "such as"),
        ("DEFAULT.Input_shape", "(-1, 0, 8)", "must be 1 or more", "such as"),
        ("DEFAULT.Input_shape", "(-1, 3.5)", "whole number", "such as"),
        ("DEFAULT.Model_name", "../net", "pattern", "no slashes"),
        ("DEFAULT.Device_type", "tpu", "'cpu' or 'gpu'", "cpu or gpu"),
        ("DEFAULT.Device_ids", "0,-1", "greater than or equal to 0", "0,1,2"),
        ("DEFAULT.Verbosity", "loud", "not a logging level", "20 (INFO)"),
        ("DEFAULT.Verbosity", "-10", "not a logging level", "20 (INFO)"),
        ("COMPILATION.Device_type", "gpu", "should be 'cpu'", "cpu: compiling takes no GPU"),
        ("DEFAULT.Start", "COMPILATION", "is not a stage", "DEFAULT, PRUNING, FINETUNE, PREPARE"),
        ("CALIBRATION.Batch", "-1", "greater than or equal to 1", "a whole number from 1"),
        ("CALIBRATION.Batch", "16.5", "valid integer", "a whole number from 1"),
        ("CALIBRATION.Batch", "1e9", "valid integer", "a whole number from 1"),
        ("CALIBRATION.Calibrate_num", "0", "greater than or equal to 1", "1 or more"),
        ("CALIBRATION.Lambda", "0", "greater than 0", "a number above 0"),
        ("CALIBRATION.Lambda", "-25", "greater than 0", "a number above 0"),
        ("CALIBRATION.Lambda", "nan", "finite", "a number above 0"),
        ("CALIBRATION.Lambda", "inf", "finite", "a number above 0"),
        ("CALIBRATION.Dump", "perhaps", "boolean", "True or False"),
        ("QUANTIZATION.Input_precision", "1", "greater than or equal to 2", "from 2 to 16"),
        ("QUANTIZATION.Input_precision", "17", "less than or equal to 16", "from 2 to 16"),
        ("QUANTIZATION.Output_precision", "33", "less than or equal to 32", "from 2 to 32"),
        ("QUANTIZATION.Thresholds", "a: 1, a: 2", "a is given twice", "`node: threshold`"),
        ("QUANTIZATION.Thresholds", "a: -1", "a: should be greater than 0", "above 0"),
        ("QUANTIZATION.Thresholds", "a 1", "not of the form name: value", "`node: threshold`"),
        ("QUANTIZATION.Thresholds", "a: 1,, b: 2", "empty item", "`node: threshold`"),
        ("QUANTIZATION.Thresholds", "{bad", "not a map", "`node: threshold`"),
        ("MERGE_MODEL.Attribute_deps", "op: attr", "not of the form", "`operator: attribute: base output`"),
        ("MERGE_MODEL.Attribute_deps", "op: attr: a, op: attr: b", "given twice", "`operator: attribute: base output`"),
        ("MERGE_MODEL.Oscale_maps", "a", "not of the form", "`output: base output`"),
        ("SPLIT_MODEL.Keys", "a, a", "a is given twice", "names of nodes"),
        ("EVALUATION.Iter_num", "-1", "greater than or equal to 0", "empty for all"),
        ("DATASET.Crop", "1.5", "less than or equal to 1", "above 0, at most 1"),
        ("DATASET.Std", "1, 0", "greater than 0", "per channel"),
        ("DEFAULT.Model_dir", "~nobody_of_that_name/x", "home", "a folder"),
        ("TRAIN.Network", "lenet/", "pattern", "a network"),
    ],
)
def test_bad_values(tmp_path: Path, name: str, value: str, wrong: str, allowed: str) -> None:
    section, key = name.split(".")
    for message in (
        refusal(tmp_path / "net.ini", SMALL, overrides=[f"{name}={value}"]),
        refusal(tmp_path / "net.ini", with_key(section, key, value)),
    ):
        assert wrong in message
        assert allowed in message.partition("; allowed: ")[2]
    assert message.startswith(f"{tmp_path}/net.ini: [{section}] {key} = "), "the file's own value"


def with_key(section: str, key: str, value: str) -> str:
    """The small configuration with one more line."""
    lines = [line for line in SMALL.splitlines() if not line.startswith(f"{key}=")]
    if f"[{section}]" not in lines:
        lines.append(f"[{section}]")
    lines.insert(lines.index(f"[{section}]") + 1, f"{key}={value}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "[DEFAULT] Model_name: is required"),
        ("[DEFAULT]\nModel_name=net\n", "[DEFAULT] Input_shape: is required"),
        (SMALL.replace("Dataset=digits", "Dataset="), "[CALIBRATION] Dataset: is required"),
        (SMALL + "[TRAIN]\nEpochs=1\n", "[TRAIN] Network: is required"),
        (SMALL + "Bacth=16\n", "[CALIBRATION] Bacth: unknown key; did you mean Batch? (allowed: Device_type,"),
        (SMALL + "Weights=16\n", "[CALIBRATION] Weights: unknown key (allowed: Device_type, "),
        (SMALL + "[EVALUATE]\n", "[EVALUATE]: unknown section; did you mean EVALUATION? (allowed: DEFAULT, PREPARE,"),
        (SMALL + "Batch=1\nBatch=2\n", "[CALIBRATION] Batch: given twice (line 7)"),
        (SMALL + "Batch=1\nBATCH=2\n", "[CALIBRATION] BATCH: given twice, in different case"),
        (SMALL + "[CALIBRATION]\n", "line 6: section [CALIBRATION] is given twice"),
        (SMALL + "[Calibration]\n", "section [CALIBRATION] is given twice, in different case"),
        ("Model_name=net\n", "line 1: a [SECTION] must come before 'Model_name=net'"),
        (SMALL + "Batch\n", "line 6: "),
        (SMALL + "Dataset_dir=a\0b\n", "[CALIBRATION] Dataset_dir: the value holds a NUL character"),
        (b"[DEFAULT]\nModel_name=\xff\xfe\n", "is not UTF-8 text (byte 21)"),
    ],
)
def test_bad_ini(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in refusal(tmp_path / "net.ini", text)


DOUBLING = "a: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
"""Sixty lines that stand for 2^60 values."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "must be sections (COMMON, PREPARE, CALIBRATE,"),
        ("COMMON: 3\n", "must be sections (COMMON, PREPARE, CALIBRATE,"),
        ("COMMON: [\n", "line 2: "),
        ("COMMON: {MODEL_NAME: a, MODEL_NAME: b}\n", "MODEL_NAME is given twice"),
        ("COMMON: &a\n  MODEL_NAME: *a\n", "line 1: refers to itself"),
        ("a: &a [*a]\n", "line 1: refers to itself"),
        (DOUBLING, "holds over 100000 values"),
        ("COMMON:\n" + "".join(f"  K{i}: 1\n" for i in range(20_000)), "COMMON.K0: unknown key"),
        ("COMMON: " + "[" * 3000, "is not YAML"),
        ("COMMON: {MODEL_NAME: a, model_name: b}\n", "COMMON.model_name: given twice"),
        ("COMMON: {MODEL: a}\n", "COMMON.MODEL: unknown key; did you mean MODEL_DIR? (allowed: MODEL_NAME,"),
        ("CALIBRATION: {BATCH: 1}\n", "CALIBRATION: unknown section; did you mean CALIBRATE? (allowed: COMMON,"),
        (
            "COMMON: {MODEL_NAME: a, START_AFTER: merge}\n",
            "COMMON.START_AFTER = merge: is not a stage; allowed: initial,",
        ),
        ("COMMON: {MODEL_NAME: a, RUN_COMPILE: maybe}\n", "COMMON.RUN_COMPILE = maybe: must be True or False"),
        ("COMMON: {MODEL_NAME: a}\nCALIBRATE: {BATCH: True}\n", "CALIBRATE.BATCH = True: should be a valid integer"),
        (
            "COMMON: {MODEL_NAME: a}\nQUANTIZE: {THRESHOLDS: [[a]]}\n",
            "QUANTIZE.THRESHOLDS = [['a']]: ['a'] is not a pair",
        ),
        ("COMMON: {MODEL_NAME: a}\nQUANTIZE: {ATTRIBUTE_DEPS: [[a, [b]]]}\n", "'b' is not a pair"),
        ("COMMON: {MODEL_NAME: !!python/name:os.system a}\n", "could not determine a constructor"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path / "net.yaml", text)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("CALIBRATION.Batch", "must be SECTION.Key=VALUE"),
        ("Batch=3", "must be SECTION.Key=VALUE"),
        ("CALIBRATION.Bacth=3", "unknown key; did you mean Batch?"),
        ("CALIBRATOIN.Batch=3", "unknown section; did you mean CALIBRATION?"),
        ("COMMON.RUN_EVALUATE=False", "can be given in the file only"),
        ("CALIBRATION.Cfg_groups=1", "has no meaning here"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, message: str) -> None:
    refused = refusal(tmp_path / "net.ini", SMALL, overrides=[override])
    assert refused.startswith(f"--set {override}: ")
    assert message in refused


def test_bad_start(tmp_path: Path) -> None:
    message = refusal(tmp_path / "net.ini", SMALL, start="calibrated")
    assert message.startswith("--start = calibrated: is not a stage; allowed: DEFAULT, PRUNING, FINETUNE, PREPARE")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.ini").endswith("none.ini: no such configuration file")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal(Path("a\0b.ini"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "net.ini"
    path.write_text(SMALL)
    path.chmod(0)
    assert "Permission denied" in refusal(path)


KEYS = [f"{section}.{key}" for section, keys in SCHEMA.items() for key in keys]
V3_KEYS = [f"{section}.{key}" for section, keys in VOCABULARY.keys.items() for key in keys]


@given(name=st.sampled_from(KEYS), value=st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_is_taken_or_refused(tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / "net.ini"
    path.write_text(SMALL)
    try:
        load(path, [f"{name}={value}"])
    except MRTError as error:
        assert "; allowed: " in str(error) or "NUL" in str(error)


PIECES = ["[", "]", "=", ":", ",", "\n", "  ", "- ", "{", "}", "'", '"', "&a ", "*a", *KEYS, *V3_KEYS]


@given(text=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5))).map("".join))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", ["net.ini", "net.yaml"])
def test_any_text_is_taken_or_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(MRTError):
        load(path)
