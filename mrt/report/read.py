"""Finds reports on disk and reads them back: of this form or an older one, else refused by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrt.errors import MRTError
from mrt.report.report import Report
from mrt.report.sensitivity import Sensitivity

_REPORT, _SENSITIVITY = ".report.json", ".sensitivity.json"
_VERSION = int(Report.model_fields["report_version"].default)
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Found:
    """A report that was found.

    Attributes:
        name: the file's, which is unique where a folder has several reports of a model.
        path: the file.
        report: what it says.
        sensitivity: what `mrt sensitivity` said of the same model, where its report is beside it.
    """

    name: str
    path: Path
    report: Report
    sensitivity: Sensitivity | None = None


def find_reports(places: Sequence[Path]) -> list[Found]:
    """The reports in these files and folders, and in the folders therein, sorted by name.

    Of two with the same name, each is called by its folder, too.

    Raises:
        MRTError: a place is not there or has no report, or a report is damaged or of a version that is not known.
    """
    paths: dict[Path, None] = {}
    for place in places:
        paths.update(dict.fromkeys(_paths(place)))
    names = [_name(path) for path in paths]
    found = []
    for path in paths:
        name = _name(path)
        beside = path.with_name(path.name[: -len(_REPORT)] + _SENSITIVITY)
        sensitivity = read_sensitivity(beside) if beside.is_file() else None
        shown = name if names.count(name) == 1 else f"{path.parent.name}/{name}"
        found.append(Found(shown, path, read_report(path), sensitivity))
    return sorted(found, key=lambda each: each.name)


def read_report(path: Path) -> Report:
    """A report of a run.

    Raises:
        MRTError: it is damaged, or of a version that this MRT does not know.
    """
    raw = _document(path)
    version = raw.get("report_version", 1)
    if not isinstance(version, int) or not 1 <= version <= _VERSION:
        raise MRTError(f"{path}: a report of version {version!s:.20}; this MRT reads up to version {_VERSION}")
    try:
        return Report.model_validate({**raw, "report_version": _VERSION})
    except ValidationError as error:
        raise MRTError(f"{path}: {_first(error)}; run the network again") from None


def read_sensitivity(path: Path) -> Sensitivity:
    """A report of `mrt sensitivity`.

    Raises:
        MRTError: it is damaged.
    """
    try:
        return Sensitivity.model_validate(_document(path))
    except ValidationError as error:
        raise MRTError(f"{path}: {_first(error)}; run mrt sensitivity again") from None


def _paths(place: Path) -> list[Path]:
    if place.is_file():
        if not place.name.endswith(_REPORT):
            raise MRTError(f"{place}: not a report; a run's is called NAME{_REPORT}")
        return [place]
    if not place.is_dir():
        raise MRTError(f"{place}: no such file or folder")
    found = sorted(path for path in place.rglob(f"*{_REPORT}") if path.is_file())
    if not found:
        raise MRTError(f"{place}: no report in it; a run leaves NAME{_REPORT} in its Output_dir")
    return found


def _name(path: Path) -> str:
    return path.name[: -len(_REPORT)]


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MRTError(f"{path}: too large for a report")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MRTError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise MRTError(f"{path}: damaged report; run the network again")
    return raw


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"damaged, or of another version of MRT: {place}: {first['msg']}"
