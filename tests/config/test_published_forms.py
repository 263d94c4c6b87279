"""Files in the forms that MRT published load, with MRT's meanings."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mrt.config import Start, load

DETECTOR = """\
[DEFAULT]
Model_dir=
Model_name=detector_512_voc
Device_type=
Device_ids=
# default: None(0), DEBUG(10), INFO(20)
Verbosity=20
Input_shape=(-1, 3, 512, 512)
Start=

[PREPARE]
Dump=True

[SPLIT_MODEL]
Keys=
  det0_softmax0,
  det0_concat0
Dump=True

[CALIBRATION]
Batch=
Calibrate_num=2
# lambda = 16
# [ 2020-03-24 14:29:33 INFO ] Iteration:  29 | evalfunc: 75.57% | quantize: 71.14%
Lambda=25
Dataset=voc
Device_type=gpu
Device_ids=2
Dump=True

[QUANTIZATION]
Restore_name=
Input_precision=
Output_precision=30
Device_type=gpu
Device_ids=2
Softmax_lambd=
Shift_bits=
Thresholds=
  ; data: 2.64,
  mrt_rewrite_det0_conv1_weight_0: 29.09,
  det0_softmax0: 1
Dump=True

[MERGE_MODEL]
Attribute_deps=
  _greater_scalar: scalar: det0_softmax0,
  _contrib_box_nms: valid_thresh: det0_softmax0
Oscale_maps=
  det0_slice_axis41: None,
  det0_slice_axis42: det0_softmax0
Dump=

[EVALUATION]
Batch=15
Device_type=gpu
Device_ids=0,1,2
Iter_num=10

; [COMPILATION]
; Batch=1

# [DUMP]
"""

V2 = """\
[DEFAULT]
Model_name=sentences
Input_shape=(38, -1)

[SPLIT_MODEL]
Keys=
Dump_dir=

[CALIBRATION]
dataset=trec
Cfg_groups=
  ["convolution27"]: gn_info: {"gn_type"; "channel-wise". "ichannel"; 1. "step"; 1}
Device_type=cpu
Device_ids=2

[QUANTIZATION]
Input_precision=16

[EVALUATION]
Dataset=Custom
Dataset_dir=/somewhere/datasets
Batch=150
Iter_num=500

[COMPILATION]
Device_type=
Dump_dir=
"""

V3 = """\
COMMON:
  MODEL_NAME: detector_512_voc
  VERBOSITY: info
  START_AFTER: quantize
  RUN_EVALUATE: True
PREPARE:
  INPUT_SHAPE: [-1, 3, 512, 512]
  SPLIT_KEYS: [
    "det0_softmax0",
    "det0_concat0"
  ]
CALIBRATE:
  NUM_CALIB: 2
  LAMBD: 25
  DATASET_NAME: voc
  DEVICE_TYPE: gpu
  DEVICE_IDS: [0]
QUANTIZE:
  OUTPUT_PRECISION: 30
  DEVICE_TYPE: gpu
  DEVICE_IDS: "[0,1,2]"
  THRESHOLDS: [
    ["mrt_rewrite_det0_conv1_weight_0", 29.09],
    ["det0_softmax0", 1],
  ]
  ATTRIBUTE_DEPS: [
    ["_greater_scalar", [["scalar", "det0_softmax0"]]],
    ["_contrib_box_nms", [["valid_thresh", "det0_softmax0"]]],
  ]
  OSCALE_MAPS: [
    ["det0_slice_axis41", None],
    ["det0_slice_axis42", "det0_softmax0"],
  ]
EVALUATE:
  BATCH: 48
  ITER_NUM: 2000
"""

THRESHOLDS = {"mrt_rewrite_det0_conv1_weight_0": 29.09, "det0_softmax0": 1.0}
ATTRIBUTE_DEPS = {
    "_greater_scalar": {"scalar": "det0_softmax0"},
    "_contrib_box_nms": {"valid_thresh": "det0_softmax0"},
}
OSCALE_MAPS = {"det0_slice_axis41": None, "det0_slice_axis42": "det0_softmax0"}


def written(folder: Path, text: str, name: str = "net.ini") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_detector_of_mrts_zoo(tmp_path: Path) -> None:
    config = load(written(tmp_path, DETECTOR))
    assert config.default.input_shape == (-1, 3, 512, 512)
    assert config.default.start is Start.DEFAULT
    assert config.default.model_dir == Path.home() / "mrt_model"
    assert config.split_model.keys == ("det0_softmax0", "det0_concat0")
    assert (config.calibration.batch, config.calibration.calibrate_num, config.calibration.lambda_) == (16, 2, 25.0)
    assert (config.calibration.device_type, config.calibration.device_ids) == ("gpu", (2,))
    assert config.quantization.input_precision == 8
    assert config.quantization.output_precision == 30
    assert config.quantization.thresholds == THRESHOLDS
    assert config.quantization.softmax_lambd is None
    assert config.merge_model.attribute_deps == ATTRIBUTE_DEPS
    assert config.merge_model.oscale_maps == OSCALE_MAPS
    assert config.merge_model.dump
    assert config.evaluation is not None
    assert (config.evaluation.dataset, config.evaluation.batch, config.evaluation.iter_num) == ("voc", 15, 10)
    assert config.evaluation.device_ids == (0, 1, 2)
    assert config.compilation is None


def test_keys_of_other_mrt_versions_are_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        config = load(written(tmp_path, V2))
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/net.ini: [CALIBRATION] Cfg_groups: ignored, it has no meaning here"
    ]
    assert config.quantization.input_precision == 16
    assert config.evaluation is not None
    assert config.evaluation.dataset == "Custom"
    assert config.evaluation.dataset_dir == Path("/somewhere/datasets")
    assert config.compilation is not None
    assert config.compilation.batch == 1, "not the evaluation's"


def test_yaml_of_v3_means_the_same_as_ini(tmp_path: Path) -> None:
    config = load(written(tmp_path, V3, "net.yaml"))
    ini = load(written(tmp_path, DETECTOR))
    assert config.default.start is Start.MERGE_MODEL, "v3 merges in its quantize stage where there are SPLIT_KEYS"
    assert config.split_model.keys == ini.split_model.keys
    assert config.calibration.lambda_ == 25.0
    assert config.quantization.device_ids == (0, 1, 2)
    assert config.quantization.thresholds == THRESHOLDS
    assert config.merge_model.attribute_deps == ATTRIBUTE_DEPS
    assert config.merge_model.oscale_maps == OSCALE_MAPS
    assert config.evaluation is not None
    assert (config.evaluation.dataset, config.evaluation.batch, config.evaluation.iter_num) == ("voc", 48, 2000)
    assert config.compilation is not None
    assert config.compilation.batch == 1


@pytest.mark.parametrize(
    ("start_after", "keys", "stage"),
    [
        ("initial", "[]", Start.DEFAULT),
        ("prepare", "[]", Start.PREPARE),
        ("prepare", "[a]", Start.SPLIT_MODEL),
        ("calibrate", "[a]", Start.CALIBRATION),
        ("quantize", "[]", Start.QUANTIZATION),
    ],
)
def test_start_after(tmp_path: Path, start_after: str, keys: str, stage: Start) -> None:
    text = f"COMMON: {{MODEL_NAME: net, START_AFTER: {start_after}}}\nPREPARE: {{SPLIT_KEYS: {keys}}}\n"
    assert load(written(tmp_path, text, "net.yml")).default.start is stage


def test_v3_defaults_and_switches(tmp_path: Path) -> None:
    config = load(written(tmp_path, "COMMON: {MODEL_NAME: net, RUN_EVALUATE: False, BATCH: 32}\n", "net.yaml"))
    assert config.default.input_shape == (-1, 3, 224, 224)
    assert config.calibration.dataset == "imagenet"
    assert config.calibration.batch == 32
    assert config.evaluation is None
    assert config.compilation is not None
    assert config.quantization.dump


def test_v3_maps_as_quoted_json(tmp_path: Path) -> None:
    text = (
        "COMMON: {MODEL_NAME: net}\n"
        'PREPARE: {SPLIT_KEYS: "[a, b]"}\n'
        "QUANTIZE:\n"
        '  THRESHOLDS: "\\"{\\"data\\":2.64,\\"a\\":1}\\""\n'
        '  ATTRIBUTE_DEPS: "{\\"_greater_scalar\\": {\\"scalar\\": \\"a\\"}}"\n'
    )
    config = load(written(tmp_path, text, "net.yaml"))
    assert config.split_model.keys == ("a", "b")
    assert config.quantization.thresholds == {"data": 2.64, "a": 1.0}
    assert config.merge_model.attribute_deps == {"_greater_scalar": {"scalar": "a"}}
