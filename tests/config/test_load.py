"""Defaults, overrides, folders, and the documented example."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

import mrt.config
from mrt.config import Config, Start, load
from mrt.config.raw import SCHEMA
from mrt.errors import MRTError

ROOT = Path(mrt.config.__file__).resolve().parents[2]
EXAMPLE = ROOT / "mrt/config/example.ini"
COMPRESSION = ROOT / "mrt/config/example_compression.ini"
ZOO = sorted((ROOT / "mrt/zoo").glob("*.ini"))

SMALL = "[DEFAULT]\nModel_name=net\nInput_shape=(-1, 1, 8, 8)\n[CALIBRATION]\nDataset=digits\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A minimal configuration in a folder of its own; the working directory is its parent."""
    path = tmp_path / "configurations" / "net.ini"
    path.parent.mkdir()
    path.write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    return path


def test_example_has_exactly_the_keys_of_the_schema() -> None:
    parser = configparser.RawConfigParser(default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(COMPRESSION)
    ours = {
        section: set(parser.options(section)) for section in ("PRUNING", "FINETUNE", "DISTILLATION", "QAT", "SHARING")
    }
    parser = configparser.RawConfigParser(default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(EXAMPLE)
    assert {**ours, **{section: set(parser.options(section)) for section in parser.sections()}} == {
        section: set(keys) for section, keys in SCHEMA.items()
    }


def test_example_comments_every_section_key_but_dump_batch_and_devices() -> None:
    """A key without a comment of its own is one that an earlier section explains."""
    explained, commented = set(), False
    compression = COMPRESSION.read_text()
    for line in (EXAMPLE.read_text() + compression[compression.index("[PRUNING]") :]).splitlines():
        if line.startswith("#"):
            commented = True
        elif "=" in line:
            key = line.split("=")[0]
            assert commented or key in explained or key in ("Dataset_dir",), f"{line} is not explained"
            explained.add(key)
            commented = False
        else:
            commented = False


def test_example_loads() -> None:
    config = load(EXAMPLE)
    assert config.default.model_name == "digits"
    assert config.train is not None
    assert config.train.network == "digits_cnn"


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_zoo_loads(path: Path) -> None:
    config = load(path)
    assert config.evaluation is not None
    assert config.evaluation.iter_num is None, "the whole evaluation split"
    assert config.compilation is not None


def test_defaults(small: Path, tmp_path: Path) -> None:
    config = load(small)
    assert config.default.model_dir == config.default.output_dir == Path.home() / "mrt_model"
    assert config.default.verbosity == 20
    assert config.calibration.device_type == "cpu"
    assert (config.calibration.batch, config.calibration.calibrate_num, config.calibration.lambda_) == (16, 1, None)
    assert config.quantization.input_precision == 8
    assert config.quantization.output_precision is None
    for section in (config.evaluation, config.compilation, config.dataset, config.train):
        assert section is None


def test_sections_and_keys_count_whatever_their_case(tmp_path: Path) -> None:
    path = tmp_path / "net.ini"
    path.write_text(SMALL.replace("CALIBRATION", "Calibration").replace("Model_name", "MODEL_NAME") + "LAMBDA=3\n")
    config = load(path)
    assert (config.default.model_name, config.calibration.lambda_) == ("net", 3.0)


def test_names_keep_their_case(small: Path) -> None:
    config = load(small, ["QUANTIZATION.Thresholds=MobilenetV2/Conv: 2, mobilenetv2/conv: 3"])
    assert config.quantization.thresholds == {"MobilenetV2/Conv": 2.0, "mobilenetv2/conv": 3.0}


def test_sections_inherit(small: Path) -> None:
    config = load(
        small,
        [
            "DEFAULT.Device_type=gpu",
            "DEFAULT.Device_ids=1, 2",
            "CALIBRATION.Device_type=cpu",
            "CALIBRATION.Batch=5",
            "CALIBRATION.Dataset_dir=/data",
            "EVALUATION.Iter_num=3",
            "COMPILATION.Dump_dir=out",
            "TRAIN.Network=lenet",
            "TRAIN.Dataset=mnist",
        ],
    )
    assert (config.calibration.device_type, config.quantization.device_type) == ("cpu", "gpu")
    assert config.quantization.device_ids == (1, 2)
    assert config.evaluation is not None
    assert (config.evaluation.dataset, config.evaluation.batch) == ("digits", 5)
    assert config.evaluation.dataset_dir == Path("/data")
    assert config.compilation is not None
    assert config.compilation.batch == 1, "one picture, whatever the others take"
    assert config.train is not None
    assert config.train.dataset_dir is None, "another dataset's folder is not its own"


def test_device_replaces_every_device(small: Path) -> None:
    overrides = ["DEFAULT.Device_type=gpu", "QUANTIZATION.Device_type=gpu", "QUANTIZATION.Device_ids=3"]
    config = load(small, overrides, device="cpu")
    assert {config.default.device_type, config.prepare.device_type, config.quantization.device_type} == {"cpu"}


def test_start_and_set_replace_the_files_values(small: Path) -> None:
    config = load(small, ["default.start=prepare", "CALIBRATE.NUM_CALIB=7"], start="quantization")
    assert config.default.start is Start.QUANTIZATION
    assert config.calibration.calibrate_num == 7, "v3's names are understood too"


def test_an_empty_override_restores_the_default(small: Path) -> None:
    small.write_text(SMALL + "Batch=3\n")
    assert load(small, ["CALIBRATION.Batch="]).calibration.batch == 16


def test_the_folder_that_holds_the_model_wins(small: Path, tmp_path: Path) -> None:
    """An unrelated folder of the same name in the working directory doesn't hide the model beside the file."""
    (tmp_path / "data").mkdir()
    beside = small.parent / "data"
    beside.mkdir()
    assert load(small, ["DEFAULT.Model_dir=data"]).default.model_dir == tmp_path / "data"
    for suffix in ("-symbol.json", "-0000.params"):
        (beside / f"net{suffix}").touch()
    assert load(small, ["DEFAULT.Model_dir=data"]).default.model_dir == beside
    for suffix in (".json", ".params"):
        (tmp_path / "data" / f"net{suffix}").touch()
    config = load(small, ["DEFAULT.Model_dir=data"])
    assert config.default.model_dir == config.default.output_dir == tmp_path / "data"


def test_outputs_are_in_the_working_directory(small: Path, tmp_path: Path) -> None:
    (small.parent / "out").mkdir()
    config = load(small, ["DEFAULT.Output_dir=out", "COMPILATION.Batch=1"])
    assert config.default.output_dir == tmp_path / "out"
    assert config.compilation is not None
    assert config.compilation.dump_dir == tmp_path / "out"
    config = load(small, ["COMPILATION.Dump_dir=~/compiled"])
    assert config.compilation is not None
    assert config.compilation.dump_dir == Path.home() / "compiled"


def test_zoo_model_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(ROOT / "mrt/zoo/digits.ini").default.model_dir == ROOT / "data"


def test_as_dict_is_json_that_reads_back(small: Path) -> None:
    config = load(EXAMPLE, ["QUANTIZATION.Thresholds=a: 1.5", "SPLIT_MODEL.Keys=a", "DEFAULT.Start=split_model"])
    plain = json.loads(json.dumps(config.as_dict()))
    assert plain["DEFAULT"]["Start"] == "SPLIT_MODEL"
    assert plain["QUANTIZATION"]["Thresholds"] == {"a": 1.5}
    assert Config.model_validate(plain) == config


def test_config_cannot_be_changed(small: Path) -> None:
    config = load(small)
    with pytest.raises(Exception, match="frozen"):
        config.default.model_name = "other"


def test_resume_needs_a_split(small: Path) -> None:
    with pytest.raises(MRTError, match=r"net\.ini: \[DEFAULT\] Start = MERGE_MODEL needs \[SPLIT_MODEL\] Keys"):
        load(small, start="merge_model")
