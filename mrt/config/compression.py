"""The sections that compress a network."""

from typing import Annotated, Any, Literal, Optional

from pydantic import BeforeValidator, Field, model_validator

from mrt.config import values
from mrt.config.base import FLAG, Fit, Names, Section, lower

DISTILLATIONS = {
    "kd": "hard: 0.2, soft_label: 0.8",
    "distilled_bilstm": "hard: 0.3, logits: 0.7",
    "bert_pkd": "hard: 0.5, soft_label: 0.5, patient: 10",
}
"""The losses of the published methods, by name."""

METHODS = ("bn", "conv_all", "conv_avg", "conv_max", "random", "conv_threshold", "taylor", "fpgm")

_SHARE = "a number above 0, below 1, or empty"
Share = Annotated[float, Field(gt=0, lt=1)]
Weights = Annotated[
    dict[Annotated[str, Field(pattern="^(hard|soft_label|l2|fsp|logits|patient)$")], Annotated[float, Field(ge=0)]],
    BeforeValidator(values.choice_map),
]
BitsMap = Annotated[dict[str, Annotated[int, Field(ge=2, le=8)]], BeforeValidator(values.choice_map)]
Pairs = Annotated[dict[str, str], BeforeValidator(values.choice_map)]


class Pruning(Section):
    """[PRUNING], ours: channels are removed before the network is prepared."""

    method: Annotated[
        Literal["bn", "conv_all", "conv_avg", "conv_max", "random", "conv_threshold", "taylor", "fpgm"],
        BeforeValidator(lower),
    ] = Field(default="conv_avg", description=", ".join(METHODS))
    ratio: Optional[Share] = Field(default=None, description=_SHARE)
    macs: Optional[Share] = Field(default=None, description=_SHARE)
    size: Optional[Share] = Field(default=None, description=_SHARE)
    strategy: Annotated[Literal["uniform", "sensitivity", "global"], BeforeValidator(lower)] = Field(
        default="uniform", description="uniform, sensitivity or global"
    )
    schedule: Annotated[Literal["one_shot", "stepwise", "iterative"], BeforeValidator(lower)] = Field(
        default="one_shot", description="one_shot, stepwise or iterative"
    )
    steps: int = Field(default=3, ge=1, description="1 or more")
    step_epochs: int = Field(default=1, ge=1, description="1 or more")
    keep: Names = Field(default=(), description="names of nodes, or patterns of * and ?, split by commas")
    multiple: int = Field(default=8, ge=1, description="1 or more")
    sparsity: float = Field(default=0.0, ge=0, description="0 or more")
    sparsity_epochs: int = Field(default=1, ge=1, description="1 or more")
    pictures: int = Field(default=512, ge=1, description="1 or more")
    seed: int = Field(default=0, ge=0, lt=2**31, description="a whole number from 0")
    dump: bool = Field(default=True, description=FLAG)

    @model_validator(mode="after")
    def _one_target(self) -> "Pruning":
        if [self.ratio, self.macs, self.size].count(None) != 2:
            raise ValueError("needs one of ratio, macs and size; allowed: one of them, a number above 0, below 1")
        if self.sparsity and self.method != "bn":
            raise ValueError(f"sparsity is unused with the method {self.method}; allowed: 0, or the method bn")
        return self


class Finetune(Fit):
    """[FINETUNE], ours: trains the network, pruned or not, before it is prepared."""

    learning_rate: float = Field(default=0.01, gt=0, description="a number above 0")
    epochs: int = Field(default=2, ge=1, description="1 or more")
    dump: bool = Field(default=True, description=FLAG)


class FitIntegers(Fit):
    """How an integer network is trained; the best on held-out pictures is kept."""

    epochs: int = Field(default=2, ge=0, description="0 or more")
    optimizer: Annotated[Literal["sgd", "nag", "adam"], BeforeValidator(lower)] = Field(
        default="adam", description="sgd, nag or adam"
    )
    learning_rate: float = Field(default=0.001, gt=0, description="a number above 0")
    weight_decay: float = Field(default=0.0, ge=0, description="0 or more")
    held_out: int = Field(default=1000, ge=1, description="1 or more")


class QatSection(FitIntegers):
    """[QAT], ours: trains the integer network itself."""

    bits: int = Field(default=8, ge=2, le=8, description="a whole number from 2 to 8")
    layer_bits: BitsMap = Field(default={}, description="`node: bits` items split by commas, bits from 2 to 8")


class Sharing(FitIntegers):
    """[SHARING], ours: few weights other than 0, of few values, written in few bytes."""

    bits: int = Field(default=5, ge=1, le=8, description="a whole number from 1 to 8")
    density: float = Field(default=1.0, gt=0, le=1, description="a number above 0, to 1")


class Distillation(Section):
    """[DISTILLATION], ours: a teacher's values as further losses of [FINETUNE] and [TRAIN]."""

    method: Optional[Annotated[Literal["kd", "distilled_bilstm", "bert_pkd"], BeforeValidator(lower)]] = Field(
        default=None, description=f"{', '.join(DISTILLATIONS)}, or empty"
    )
    teacher: str = Field(min_length=1, description="the path of a model's files without their endings")
    losses: Weights = Field(
        default={"soft_label": 1.0},
        description="`loss: weight` items split by commas; losses are hard, soft_label, l2, fsp, logits, patient",
    )
    temperature: float = Field(default=1.0, gt=0, description="a number above 0")
    pairs: Pairs = Field(default={}, description="`student node: teacher node` items split by commas")
    fsp_pairs: Pairs = Field(
        default={}, description="`student node: teacher node` items split by commas, each two in a row one flow"
    )

    @model_validator(mode="before")
    @classmethod
    def _method_has_its_losses(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        named = {str(key).lower(): value for key, value in given.items()}
        losses = DISTILLATIONS.get(str(lower(named.get("method"))))
        return given if losses is None or named.get("losses") else {**given, "Losses": losses}

    @model_validator(mode="after")
    def _pairs_where_needed(self) -> "Distillation":
        for loss in ("l2", "patient"):
            if loss in self.losses and not self.pairs:
                raise ValueError(f"{loss} needs pairs; allowed: `student node: teacher node` items")
        if "fsp" in self.losses and (len(self.fsp_pairs) < 2 or len(self.fsp_pairs) % 2):
            raise ValueError("fsp needs fsp_pairs; allowed: two `student node: teacher node` items a flow")
        return self
