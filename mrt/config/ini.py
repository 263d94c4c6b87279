"""Reads MRT's INI files."""

from __future__ import annotations

import configparser

from mrt.config.raw import SCHEMA, Raw, Target, Vocabulary
from mrt.errors import MRTError

__all__ = ["VOCABULARY", "read"]

_MRT_ONLY: dict[str, dict[str, Target]] = {
    "SPLIT_MODEL": {"Dump_dir": None},
    "CALIBRATION": {"Cfg_groups": None},
    "COMPILATION": {"Dataset": None, "Dataset_dir": None},
}
"""Keys of MRT's published files (its v2 and its tutorial) that nothing here needs."""

VOCABULARY = Vocabulary({section: {**keys, **_MRT_ONLY.get(section, {})} for section, keys in SCHEMA.items()})


def read(text: str, source: str) -> Raw:
    """Read the text of an INI file; `source` is its name in messages.

    Section and key names count whatever their case. Raises MRTError for a broken line, and for an unknown or repeated
    section or key.
    """
    parser = configparser.RawConfigParser(default_section="", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text, source)
    except configparser.DuplicateSectionError as error:
        raise MRTError(f"{source}: line {error.lineno}: section [{error.section}] is given twice") from error
    except configparser.DuplicateOptionError as error:
        raise MRTError(f"{source}: [{error.section}] {error.option}: given twice (line {error.lineno})") from error
    except configparser.MissingSectionHeaderError as error:
        raise MRTError(f"{source}: line {error.lineno}: a [SECTION] must come before {error.line.strip()!r}") from error
    except configparser.ParsingError as error:
        line, content = error.errors[0]
        raise MRTError(f"{source}: line {line}: {content.strip()} is not of the form Key=VALUE") from error

    raw = Raw(source)
    for spelled in parser.sections():
        section = VOCABULARY.section(spelled, f"{source}: [{spelled}]")
        if section in raw.sections:
            raise MRTError(f"{source}: section [{section}] is given twice, in different case")
        raw.sections[section] = {}
        seen: set[str] = set()
        for key, value in parser.items(spelled):
            where = f"{source}: [{section}] {key}"
            if key.lower() in seen:
                raise MRTError(f"{where}: given twice, in different case")
            seen.add(key.lower())
            VOCABULARY.put(raw, section, key, value, where)
    return raw
