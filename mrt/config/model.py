"""The configuration's schema: the only list of sections and keys, with their types, limits and defaults.

A key's name in a file is its field's name with a capital (`model_dir` is `Model_dir`); a field's description says what
is allowed and is what error messages quote. `example.ini` documents every key.
"""

from typing import Any, Optional, get_args

from pydantic import ConfigDict, PrivateAttr, model_validator

from mrt.config.base import Section
from mrt.config.compression import Distillation, Finetune, Pruning, QatSection, Sharing
from mrt.config.sections import (
    Calibration,
    Compilation,
    DatasetSettings,
    Default,
    Evaluation,
    MergeModel,
    Preparation,
    Quantization,
    SplitModel,
    Start,
    Train,
)

_COMPRESSING = ("PRUNING", "FINETUNE")


class Config(Section):
    """A whole configuration, checked, with defaults filled in and paths absolute.

    Those that are None by default are None where the file has no such section.
    """

    model_config = ConfigDict(alias_generator=str.upper)

    default: Default
    prepare: Preparation = Preparation()
    split_model: SplitModel = SplitModel()
    calibration: Calibration
    quantization: Quantization = Quantization()
    merge_model: MergeModel = MergeModel()
    evaluation: Optional[Evaluation] = None
    compilation: Optional[Compilation] = None
    dataset: Optional[DatasetSettings] = None
    train: Optional[Train] = None
    pruning: Optional[Pruning] = None
    finetune: Optional[Finetune] = None
    distillation: Optional[Distillation] = None
    qat: Optional[QatSection] = None
    sharing: Optional[Sharing] = None
    _order: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _in_order(cls, given: Any, handler: Any) -> "Config":
        """Remember in which order the compressing sections stand."""
        config: Config = handler(given)
        if isinstance(given, dict):
            names = {str(name).upper(): value for name, value in given.items()}
            config._order = tuple(name for name, value in names.items() if name in _COMPRESSING and value is not None)
        return config

    @property
    def compressing(self) -> tuple[Start, ...]:
        """The stages that compress the float network, in the order in which they run."""
        return tuple(Start[name] for name in self._order)

    @model_validator(mode="after")
    def _compression_fits(self) -> "Config":
        if self.distillation is not None and self.finetune is None and self.train is None:
            raise ValueError(
                "[DISTILLATION] needs [FINETUNE] or [TRAIN], which say how to train; allowed: with one of them"
            )
        start = self.default.start
        if start.name in _COMPRESSING and getattr(self, start.name.lower()) is None:
            raise ValueError(f"[DEFAULT] Start = {start.name} needs a section [{start.name}]; allowed: with one")
        return self

    @model_validator(mode="after")
    def _classes_end_the_network(self) -> "Config":
        if self.quantization.output == "argmax" and self.split_model.keys:
            raise ValueError(
                "[QUANTIZATION] Output = argmax cannot go with [SPLIT_MODEL] Keys, whose top reads the values; leave "
                "one of them out"
            )
        return self

    @model_validator(mode="after")
    def _start_has_a_split(self) -> "Config":
        start = self.default.start
        if start in (Start.SPLIT_MODEL, Start.MERGE_MODEL) and not self.split_model.keys:
            raise ValueError(f"[DEFAULT] Start = {start.name} needs [SPLIT_MODEL] Keys, which is empty")
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as JSON types, sections and keys spelled as in an INI file."""
        plain = self.model_dump(mode="json", by_alias=True)
        return {
            **{name: plain[name] for name in plain if name not in self._order},
            **{n: plain[n] for n in self._order},
        }


def _section(annotation: Any) -> type[Section]:
    """Return the section's class, of an annotation that may be optional."""
    section: type[Section] = next(part for part in (*get_args(annotation), annotation) if part is not type(None))
    return section


SECTIONS: dict[str, type[Section]] = {
    str(field.alias): _section(field.annotation) for field in Config.model_fields.values()
}
"""The class of each section, by its name in a file."""
