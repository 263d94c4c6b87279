"""What the sections of a configuration are made of: their common class, and the types of their keys."""

from pathlib import Path
from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat

from mrt.config import values


def lower(value: Any) -> Any:
    """Text in lower case."""
    return value.strip().lower() if isinstance(value, str) else value


def _key(field: str) -> str:
    return field.rstrip("_").capitalize()


_SPELLED = {"map": "mAP", "miou": "mIoU"}

Names = Annotated[tuple[str, ...], BeforeValidator(values.names)]
Floats = Annotated[tuple[float, ...], BeforeValidator(values.numbers)]
PositiveFloats = Annotated[tuple[PositiveFloat, ...], BeforeValidator(values.numbers)]
Batch = Annotated[int, Field(ge=1, le=65536)]
Metric = Annotated[
    str,
    BeforeValidator(lambda given: given if ":" in str(given) else _SPELLED.get(lower(given), lower(given))),
    Field(pattern=r"^(auto|none|top-1|top-5|mAP|mIoU|[^:\x00]+:[A-Za-z_][A-Za-z_0-9]*)$"),
]
Source = Annotated[str, Field(min_length=1, pattern=r"^([^/\\:\x00]+|[^:\x00]+:[A-Za-z_][A-Za-z_0-9]*)$")]
Named = Annotated[str, Field(min_length=1, pattern=r"^[^/\\\x00]+$")]

FLAG = "True or False"
BATCH = "a whole number from 1 to 65536"
PATH = "a folder"
DATASET = "the name of a dataset, folder, npz, or my_module:MyData"
DATASET_DIR = "a folder, or an .npz file"


class Section(BaseModel):
    """What all sections share: fixed once read, no unknown keys, no infinities."""

    model_config = ConfigDict(
        alias_generator=_key,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
    )


class Fit(Section):
    """How a network is trained, and on what."""

    dataset: Source = Field(description=DATASET)
    dataset_dir: Optional[Path] = Field(default=None, description=DATASET_DIR)
    epochs: int = Field(default=10, ge=1, description="1 or more")
    batch: Batch = Field(default=128, description=BATCH)
    optimizer: Annotated[Literal["sgd", "nag", "adam"], BeforeValidator(lower)] = Field(
        default="sgd", description="sgd, nag or adam"
    )
    learning_rate: float = Field(default=0.1, gt=0, description="a number above 0")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="from 0 to below 1")
    weight_decay: float = Field(default=0.0001, ge=0, description="0 or more")
    schedule: Annotated[Literal["cosine", "constant"], BeforeValidator(lower)] = Field(
        default="cosine", description="cosine or constant"
    )
    augment: bool = Field(default=False, description=FLAG)
    seed: int = Field(default=0, ge=0, lt=2**31, description="a whole number from 0")
