"""How a float network becomes integers: every switch of it, in one object."""

from __future__ import annotations

from typing import Any

import pydantic

from mrt.config import Config
from mrt.config.base import Section
from mrt.config.model import CalibrationSwitches, PrepareSwitches, QuantizationSwitches
from mrt.errors import MRTError

__all__ = ["Recipe"]

_SECTIONS: dict[str, type[Section]] = {
    "prepare": PrepareSwitches,
    "calibration": CalibrationSwitches,
    "quantization": QuantizationSwitches,
}


class Recipe(Section):
    """The switches of [PREPARE], [CALIBRATION] and [QUANTIZATION], with the same names, limits and defaults.

    `Recipe(calibrator="entropy", equalize=False)` sets single switches; a key that several sections have, such as
    `device_type`, is set in all of them. `example.ini` explains each. Where `calibrate_num` is None, all the data is
    calibrated on.

    Raises:
        MRTError: there is no such switch, or it cannot have that value.
    """

    prepare: PrepareSwitches = PrepareSwitches()
    calibration: CalibrationSwitches = CalibrationSwitches()
    quantization: QuantizationSwitches = QuantizationSwitches()

    def __init__(self, **switches: Any) -> None:
        """Sections by name, or single switches of theirs."""
        sections: dict[str, Any] = {name: switches.pop(name) for name in _SECTIONS if name in switches}
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

    @classmethod
    def from_config(cls, config: Config) -> Recipe:
        """What a configuration says of preparing, calibrating and quantizing."""
        return cls(
            **{
                name: section(**getattr(config, name).model_dump(include=set(section.model_fields)))
                for name, section in _SECTIONS.items()
            }
        )

    def replace(self, **switches: Any) -> Recipe:
        """The same, with single switches changed."""
        sections: dict[str, dict[str, Any]] = {name: getattr(self, name).model_dump() for name in _SECTIONS}
        known = {key for section in sections.values() for key in section}
        unknown = sorted(set(switches) - known)
        if unknown:
            raise MRTError(f"Recipe: there is no switch {unknown[0]}")
        changed = {
            name: {key: switches.get(key, value) for key, value in section.items()}
            for name, section in sections.items()
        }
        return type(self)(**changed)


def _message(error: pydantic.ValidationError) -> str:
    """The first error as one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"][:2])
    problem = first["msg"].replace("Value error, ", "").replace("Input should", "should")
    return f"Recipe: {where} = {first['input']!r:.80}: {problem}"
