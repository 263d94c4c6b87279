"""A configuration as read, before its values are checked: canonical names, and where each value came from."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from mrt.config.model import SECTIONS
from mrt.errors import MRTError

__all__ = ["SCHEMA", "Entry", "Raw", "Vocabulary", "suggest"]

logger = logging.getLogger(__name__)

Target = Optional[tuple[str, str]]
"""The schema's (section, key); None where MRT documents a key that means nothing here."""


@dataclass(frozen=True)
class Entry:
    """One value, as text (or as lists and maps of text), and the words that say where it stands."""

    value: Any
    where: str


@dataclass
class Raw:
    """Sections by canonical name, each with its entries by canonical key. An empty value is no entry."""

    source: str
    sections: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def set(self, section: str, key: str, value: Any, where: str) -> None:
        """Put a value in place; an empty one removes what is there (so that the default holds).

        MRTError: the value holds a NUL character, which neither a name nor a path may.
        """
        if isinstance(value, str) and "\0" in value:
            raise MRTError(f"{where}: the value holds a NUL character")
        entries = self.sections.setdefault(section, {})
        if not (value.strip() if isinstance(value, str) else value):
            entries.pop(key, None)
        else:
            entries[key] = Entry(value, where)

    def get(self, section: str, key: str) -> Entry | None:
        """Return the entry, or None where it is absent or empty."""
        return self.sections.get(section, {}).get(key)

    def fall_back(self, section: str, key: str, *others: tuple[str, str]) -> None:
        """Where a present section lacks `key`, take the first of the `others` that is given."""
        if section not in self.sections or self.get(section, key) is not None:
            return
        for other in others:
            entry = self.get(*other)
            if entry is not None:
                self.sections[section][key] = entry
                return


@dataclass(frozen=True)
class Vocabulary:
    """The sections and keys of one file format, found whatever their case, each with its place in the schema."""

    keys: Mapping[str, Mapping[str, Target]]

    def section(self, section: str, where: str) -> str:
        """Return the section's own spelling. MRTError: unknown, naming those allowed."""
        found = {known.lower(): known for known in self.keys}.get(section.strip().lower())
        if found is None:
            raise MRTError(f"{where}: unknown section{suggest(section, self.keys)}")
        return found

    def target(self, section: str, key: str, where: str) -> Target:
        """Return the schema's place of a key. MRTError: unknown section or key, naming those allowed."""
        keys = self.keys[self.section(section, where)]
        for known, target in keys.items():
            if known.lower() == key.strip().lower():
                return target
        raise MRTError(f"{where}: unknown key{suggest(key, [k for k, target in keys.items() if target is not None])}")

    def put(self, raw: Raw, section: str, key: str, value: Any, where: str) -> None:
        """Put one value of a file into `raw`; a key that means nothing here is left out, with a warning."""
        target = self.target(section, key, where)
        if target is not None:
            raw.set(*target, value, where)
        elif value.strip() if isinstance(value, str) else value:
            logger.warning("%s: ignored, it has no meaning here", where)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, if any is near, and all of them."""
    names = list(known)
    folded = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.strip().lower(), folded, n=1)
    return (f"; did you mean {folded[near[0]]}?" if near else "") + f" (allowed: {', '.join(names)})"


SCHEMA: dict[str, dict[str, Target]] = {
    section: {str(key.alias): (section, str(key.alias)) for key in model.model_fields.values()}
    for section, model in SECTIONS.items()
}
"""Every section and key of the schema, each at its own place."""
