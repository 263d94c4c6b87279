"""The sections that quantize a network and all around it, with the switches of each: a part of `mrt.config.model`."""

import enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import BeforeValidator, Field, PlainSerializer, PositiveFloat, model_validator

from mrt.config import values
from mrt.config.base import (
    BATCH,
    DATASET,
    DATASET_DIR,
    FLAG,
    PATH,
    Batch,
    Fit,
    Floats,
    Metric,
    Named,
    Names,
    PositiveFloats,
    Section,
    Source,
    lower,
)
from mrt.errors import MRTError


class Start(enum.IntEnum):
    """The checkpoint that a run resumes after, in the order of the stages.

    PRUNING and FINETUNE come in the order in which their sections stand.
    """

    DEFAULT = 0
    PRUNING = 1
    FINETUNE = 2
    PREPARE = 3
    SPLIT_MODEL = 4
    CALIBRATION = 5
    QUANTIZATION = 6
    MERGE_MODEL = 7


def _stage(value: Any) -> Start:
    if isinstance(value, Start):
        return value
    try:
        return Start[str(value).strip().upper()]
    except KeyError:
        raise ValueError("is not a stage") from None


class OnDevice(Section):
    """A section that says where it computes; both keys default to those of [DEFAULT]."""

    device_type: Annotated[Literal["cpu", "gpu"], BeforeValidator(lower)] = Field(
        default="cpu", description="cpu or gpu"
    )
    device_ids: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(values.numbers)] = Field(
        default=(0,), description="GPU numbers split by commas, such as 0,1,2 (meaningless with cpu)"
    )


class Default(OnDevice):
    """[DEFAULT]: the model, and what the other sections fall back to."""

    model_dir: Path = Field(default=Path("~/mrt_model"), description=PATH)
    model_name: Named = Field(
        description="the name of the model's files (no slashes), the path of an .onnx file, or a Gluon zoo network"
    )
    output_dir: Path = Field(default=Path("~/mrt_model"), description=PATH + "; by default Model_dir")
    verbosity: Annotated[int, BeforeValidator(values.verbosity)] = Field(
        default=20,
        description="0 (everything), 10 (DEBUG), 20 (INFO), 30 (WARNING), 40 (ERROR), 50 (CRITICAL), or the name",
    )
    input_shape: Annotated[Union[tuple[int, ...], dict[str, tuple[int, ...]]], BeforeValidator(values.input_shape)] = (
        Field(
            description="a shape with -1 for the batch axis, such as (-1, 3, 224, 224), or one for each of several "
            "inputs, such as data: (-1, 3, 224, 224), extra: (-1, 7)"
        )
    )
    start: Annotated[Start, BeforeValidator(_stage), PlainSerializer(lambda stage: stage.name, return_type=str)] = (
        Field(default=Start.DEFAULT, description=", ".join(stage.name for stage in Start))
    )
    batch: Batch = Field(default=16, description=BATCH)

    @property
    def only_shape(self) -> tuple[int, ...]:
        """The shape of the only input.

        Raises:
            MRTError: there are several.
        """
        if isinstance(self.input_shape, dict):
            raise MRTError("[DEFAULT] Input_shape: this is for networks of one input")
        return self.input_shape


class PrepareSwitches(OnDevice):
    """How a network is prepared."""

    verify: bool = Field(default=True, description=FLAG)
    equalize: bool = Field(default=True, description=FLAG)


class Preparation(PrepareSwitches):
    """[PREPARE]."""

    dump: bool = Field(default=True, description=FLAG)


class SplitModel(Section):
    """[SPLIT_MODEL]: where the graph is cut into a quantized base and a top."""

    keys: Names = Field(default=(), description="names of nodes split by commas, or auto")
    dump: bool = Field(default=True, description=FLAG)


class CalibrationSwitches(OnDevice):
    """How a network is calibrated: on how many batches, and how the ranges follow from them."""

    batch: Batch = Field(default=16, description=BATCH)
    calibrate_num: Optional[int] = Field(default=None, ge=1, description="a number of batches, 1 or more")
    calibrator: Annotated[
        Literal["absmax", "percentile", "mse", "entropy", "lambda", "auto"], BeforeValidator(lower)
    ] = Field(default="mse", description="absmax, percentile, mse, entropy, lambda or auto")
    calibrators: Annotated[
        dict[str, Annotated[Literal["absmax", "percentile", "mse", "entropy", "lambda"], BeforeValidator(lower)]],
        BeforeValidator(values.choice_map),
    ] = Field(
        default={},
        description="`node: calibrator` items split by commas, each absmax, percentile, mse, entropy or lambda",
    )
    lambda_: Optional[float] = Field(default=None, gt=0, description="a number above 0, or empty")

    @model_validator(mode="before")
    @classmethod
    def _lambda_is_a_calibrator(cls, given: Any) -> Any:
        """MRT's own files have Lambda alone."""
        if isinstance(given, dict) and given.get("Lambda") is not None and given.get("Calibrator") is None:
            return {**given, "Calibrator": "lambda"}
        return given

    @model_validator(mode="after")
    def _lambda_belongs_to_its_calibrator(self) -> "CalibrationSwitches":
        chosen = (self.calibrator, *self.calibrators.values())
        if self.lambda_ is None and "lambda" in chosen:
            raise ValueError("the calibrator lambda needs a number of standard deviations, lambda")
        if self.lambda_ is not None and not {"lambda", "auto"} & set(chosen):
            raise ValueError(f"lambda is unused with the calibrator {self.calibrator}; leave one of them out")
        return self


class Calibration(CalibrationSwitches):
    """[CALIBRATION]: the data whose ranges set the thresholds."""

    dataset: Source = Field(description=DATASET)
    dataset_dir: Optional[Path] = Field(default=None, description=DATASET_DIR)
    calibrate_num: int = Field(default=1, ge=1, description="a number of batches, 1 or more")
    dump: bool = Field(default=True, description=FLAG)


class QuantizationSwitches(OnDevice):
    """Precisions in bits, and the knobs of single operators."""

    input_precision: int = Field(default=8, ge=2, le=16, description="bits from 2 to 16")
    rounding: Annotated[Literal["nearest", "compensated", "learned"], BeforeValidator(lower)] = Field(
        default="compensated", description="nearest, compensated or learned"
    )
    bias_correction: bool = Field(default=True, description=FLAG)
    offset_activations: bool = Field(default=True, description=FLAG)
    output_precision: Optional[int] = Field(default=None, ge=2, le=32, description="bits from 2 to 32, or empty")
    output: Annotated[Literal["values", "argmax"], BeforeValidator(lower)] = Field(
        default="values", description="values or argmax"
    )
    precision: Annotated[Literal["default", "auto", "8"], BeforeValidator(lower)] = Field(
        default="default", description="default, auto or 8"
    )
    precision_target: Optional[float] = Field(default=None, gt=0, description="decibels above 0, or empty")
    precision_budget: float = Field(default=0.1, gt=0, le=2, description="a number above 0, at most 2")
    softmax_lambd: Optional[float] = Field(default=None, gt=0, description="a number above 0, or empty")
    shift_bits: Optional[int] = Field(default=None, ge=0, le=31, description="bits from 0 to 31, or empty")
    thresholds: Annotated[dict[str, PositiveFloat], BeforeValidator(values.threshold_map)] = Field(
        default={}, description="`node: threshold` items split by commas, each threshold above 0"
    )
    restore_name: Names = Field(
        default=(), description="names of nodes, `_OP_` and an operator, or `_ALL_EXCEPT_`, split by commas"
    )

    @model_validator(mode="after")
    def _float_has_no_precision(self) -> "QuantizationSwitches":
        if self.precision == "auto" and self.restore_name:
            raise ValueError("precision auto cannot go with restore_name; leave one of them out")
        return self


class Quantization(QuantizationSwitches):
    """[QUANTIZATION]."""

    dump: bool = Field(default=True, description=FLAG)


class MergeModel(Section):
    """[MERGE_MODEL]: how the top's attributes and outputs follow the scales of the base."""

    attribute_deps: Annotated[dict[str, dict[str, str]], BeforeValidator(values.attribute_map)] = Field(
        default={}, description="`operator: attribute: base output` items split by commas"
    )
    oscale_maps: Annotated[dict[str, Optional[str]], BeforeValidator(values.output_map)] = Field(
        default={}, description="`output: base output` or `output: None` items split by commas"
    )
    dump: bool = Field(default=True, description=FLAG)


class Evaluation(OnDevice):
    """[EVALUATION], skipped when the section is absent: float, quantized and compiled model on the same data."""

    dataset: Source = Field(description=DATASET)
    dataset_dir: Optional[Path] = Field(default=None, description=DATASET_DIR)
    batch: Batch = Field(default=16, description=BATCH)
    iter_num: Optional[int] = Field(default=None, ge=0, description="a number of batches, 0 for none, or empty for all")
    metric: Metric = Field(default="auto", description="auto, none, top-1, top-5, mAP, mIoU, or my_module:my_metric")
    twin_num: int = Field(default=200, ge=-1, description="a number of pictures, 0 for none, -1 for all")


class Compilation(OnDevice):
    """[COMPILATION], skipped when the section is absent: writes `<Dump_dir>/<Model_name>_cvm/`."""

    device_type: Annotated[Literal["cpu"], BeforeValidator(lower)] = Field(
        default="cpu", description="cpu: compiling takes no GPU, and the compiled model runs on the processor"
    )
    batch: Batch = Field(default=1, description=BATCH)
    dump_dir: Path = Field(default=Path("~/mrt_model"), description=PATH + "; by default Output_dir")


class DatasetSettings(Section):
    """[DATASET], ours: the preprocessing of a model that was trained with another than the dataset's own."""

    mean: Optional[Floats] = Field(default=None, description="a number per channel, split by commas")
    std: Optional[PositiveFloats] = Field(default=None, description="a number above 0 per channel, split by commas")
    scale: Optional[float] = Field(default=None, gt=0, description="what pixels are divided by first: a number above 0")
    crop: Optional[float] = Field(
        default=None, gt=0, le=1, description="the centre part that is kept: above 0, at most 1"
    )
    label_offset: int = Field(default=0, description="a whole number added to the dataset's labels")


class Train(Fit):
    """[TRAIN], ours: reproduces the model's weights with `mrt train`."""

    network: Named = Field(description="a network of mrt.nets, or of GluonCV's zoo")
    initial: str = Field(default="", description="a .safetensors file of a BERT, a package that has one, or empty")
