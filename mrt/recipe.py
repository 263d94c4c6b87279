"""How a float network becomes integers: every switch of it, in one object."""

from typing import Any, Optional, Union

import pydantic
from pydantic import PrivateAttr

from mrt.config import Config, Start
from mrt.config.base import Fit, Section
from mrt.config.compression import Distillation, Finetune, Pruning, QatSection, Sharing
from mrt.config.sections import CalibrationSwitches, PrepareSwitches, QuantizationSwitches
from mrt.errors import MRTError

__all__ = ["Recipe"]

_SECTIONS: dict[str, type[Section]] = {
    "prepare": PrepareSwitches,
    "calibration": CalibrationSwitches,
    "quantization": QuantizationSwitches,
}
GIVEN = "given"
"""What a section's dataset is called where it is the caller's."""
_ORDERED = ("pruning", "finetune")
_COMPRESSION: dict[str, type[Section]] = {
    "pruning": Pruning,
    "finetune": Finetune,
    "distillation": Distillation,
    "qat": QatSection,
    "sharing": Sharing,
}


class Recipe(Section):
    """The switches of [PREPARE], [CALIBRATION] and [QUANTIZATION], with the same names, limits and defaults.

    `Recipe(calibrator="entropy", equalize=False)` sets single switches; a key that several sections have, such as
    `device_type`, is set in all of them. `example.ini` explains each. Where `calibrate_num` is None, all the data is
    calibrated on.

    The sections that compress are there where they are given, as dicts of keys: `Recipe(pruning={"macs": 0.5},
    finetune={"epochs": 3})`. Pruning and fine-tuning run in the order in which they are given.
    `example_compression.ini` explains them.

    Raises:
        MRTError: there is no such switch, or it cannot have that value.
    """

    prepare: PrepareSwitches = PrepareSwitches()
    calibration: CalibrationSwitches = CalibrationSwitches()
    quantization: QuantizationSwitches = QuantizationSwitches()
    pruning: Optional[Pruning] = None
    finetune: Optional[Finetune] = None
    distillation: Optional[Distillation] = None
    qat: Optional[QatSection] = None
    sharing: Optional[Sharing] = None
    _order: tuple[Start, ...] = PrivateAttr(())

    def __init__(self, **switches: Any) -> None:
        """Sections by name, or single switches of theirs."""
        order = tuple(Start[name.upper()] for name in switches if name in _ORDERED and switches[name] is not None)
        for name, section in _COMPRESSION.items():
            if issubclass(section, Fit) and isinstance(switches.get(name), dict):
                switches[name] = {"dataset": GIVEN, **switches[name]}
        sections: dict[str, Any] = {n: switches.pop(n) for n in (*_SECTIONS, *_COMPRESSION) if n in switches}
        for key, value in switches.items():
            having = [name for name, section in _SECTIONS.items() if key in section.model_fields]
            if not having:
                raise MRTError(f"Recipe: there is no switch {key}")
            for name in having:
                sections.setdefault(name, {})[key] = value
        try:
            super().__init__(**sections)
        except pydantic.ValidationError as error:
            raise MRTError(_message(error)) from error
        if self.distillation is not None and self.finetune is None:
            raise MRTError("Recipe: distillation needs finetune, which says how to train")
        self._order = order

    @classmethod
    def from_config(cls, config: Config) -> "Recipe":
        """What a configuration says of compressing, preparing, calibrating and quantizing."""
        return cls(
            **{
                name: section(**getattr(config, name).model_dump(include=set(section.model_fields)))
                for name, section in _SECTIONS.items()
            },
            **_in_order(config, config.compressing),
        )

    @property
    def compressing(self) -> tuple[Start, ...]:
        """The stages that compress the float network, in the order in which they run."""
        return self._order

    @property
    def trains(self) -> Optional[str]:
        """The first section that trains, which needs labelled data to train on; None where there is none."""
        named = [name for name in _COMPRESSION if name != "distillation" and getattr(self, name) is not None]
        return named[0].upper() if named else None

    def replace(self, **switches: Any) -> "Recipe":
        """The same, with single switches, or whole sections that compress, changed."""
        sections: dict[str, dict[str, Any]] = {name: getattr(self, name).model_dump() for name in _SECTIONS}
        known = {key for section in sections.values() for key in section}
        unknown = sorted(set(switches) - known - set(_COMPRESSION))
        if unknown:
            raise MRTError(f"Recipe: there is no switch {unknown[0]}")
        changed = {
            name: {key: switches.get(key, value) for key, value in section.items()}
            for name, section in sections.items()
        }
        given = {name: value for name, value in switches.items() if name in _COMPRESSION}
        return type(self)(**changed, **{**_in_order(self, self._order), **given})


def _in_order(holder: Union[Config, Recipe], order: tuple[Start, ...]) -> dict[str, Section]:
    """The sections that compress which are there, those of the float network in their order."""
    names = [*(stage.name.lower() for stage in order), *(name for name in _COMPRESSION if name not in _ORDERED)]
    found = {name: getattr(holder, name) for name in names if getattr(holder, name) is not None}
    if "finetune" not in found:
        found.pop("distillation", None)  # of `mrt train`
    return found


def _message(error: pydantic.ValidationError) -> str:
    """The first error as one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"][:2])
    problem = first["msg"].replace("Value error, ", "").replace("Input should", "should")
    return f"Recipe: {where} = {first['input']!r:.80}: {problem}"
