"""Reads a configuration file, applies the command line's overrides, and checks the whole against the schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic

from mrt.config import ini, model_file, paths, yaml
from mrt.config.model import SECTIONS, Config
from mrt.config.raw import SCHEMA, Raw, Target
from mrt.errors import MRTError

__all__ = ["load"]

_LONGEST_NAME = 200  # a file system's limit of 255, less what is put behind it
_YAML_SUFFIXES = (".yaml", ".yml")


def load(
    path: str | Path,
    overrides: Sequence[str] = (),
    start: str | None = None,
    device: str | None = None,
    data: str | None = None,
    input_shape: str = "",
) -> Config:
    """Read the configuration file `path`: YAML by its suffix, else INI.

    `overrides` are `SECTION.Key=VALUE` (the names of either format), `start` replaces [DEFAULT] Start, and `device`
    (cpu or gpu) replaces every Device_type. Of an ONNX model (`.onnx`), it is the configuration that calibrates and
    evaluates it on `data`, `DATASET` or `DATASET:FOLDER`; `input_shape` is what the model says.

    Raises MRTError, one line with the file, section, key, what is wrong and what is allowed.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        raw = model_file.read(path, data, input_shape)
    elif data is not None:
        raise MRTError(f"--data {data}: is for an ONNX model; a configuration names its data itself")
    else:
        raw = (yaml if path.suffix.lower() in _YAML_SUFFIXES else ini).read(_read(path), str(path))
    for override in overrides:
        _override(raw, override)
    if start is not None:
        raw.set("DEFAULT", "Start", start, "--start")
    if device is not None:
        _set_device(raw, device)
    _inherit(raw)
    _locate(raw, path)
    return _validate(raw)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MRTError(f"{path}: no such configuration file") from None
    except IsADirectoryError:
        raise MRTError(f"{path}: is a folder, not a configuration file") from None
    except UnicodeDecodeError as error:
        raise MRTError(f"{path}: is not UTF-8 text (byte {error.start}); a configuration is INI or YAML") from error
    except (OSError, ValueError) as error:
        raise MRTError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _override(raw: Raw, override: str) -> None:
    where = f"--set {override}"
    name, equals, value = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise MRTError(f"{where}: must be SECTION.Key=VALUE, such as CALIBRATION.Batch=32")
    target = _find(section, key, where)
    if target is None:
        raise MRTError(f"{where}: {key} has no meaning here")
    if target[0] not in SCHEMA:
        raise MRTError(f"{where}: can be given in the file only")
    raw.set(*target, value.strip(), where)


def _find(section: str, key: str, where: str) -> Target:
    """Return the place of an override's key, in the INI file's names or, where those have none such, in v3's."""
    try:
        return ini.VOCABULARY.target(section, key, where)
    except MRTError:
        try:
            return yaml.VOCABULARY.target(section, key, where)
        except MRTError:
            pass
        raise


def _set_device(raw: Raw, device: str) -> None:
    for section in ("DEFAULT", *raw.sections):
        if "Device_type" in SCHEMA[section] and section != "COMPILATION":
            raw.set(section, "Device_type", device, f"--device {device}")
            if device == "cpu":
                raw.set(section, "Device_ids", "", "")


def _inherit(raw: Raw) -> None:
    """Fill what a section leaves out from the section that MRT names as its default."""
    for section in ("DEFAULT", "CALIBRATION", "PREPARE", "QUANTIZATION"):
        raw.sections.setdefault(section, {})
    for section in raw.sections:
        for key in ("Device_type", "Device_ids"):
            if key in SCHEMA[section] and section != "COMPILATION":
                raw.fall_back(section, key, ("DEFAULT", key))
    raw.fall_back("CALIBRATION", "Batch", ("DEFAULT", "Batch"))
    raw.fall_back("EVALUATION", "Batch", ("DEFAULT", "Batch"), ("CALIBRATION", "Batch"))
    raw.fall_back("COMPILATION", "Batch", ("DEFAULT", "Batch"))
    for section in ("EVALUATION", "TRAIN", "FINETUNE", "QAT", "SHARING"):
        # A folder belongs to the dataset it was given with: another dataset doesn't inherit it.
        if raw.get(section, "Dataset") is None:
            raw.fall_back(section, "Dataset_dir", ("CALIBRATION", "Dataset_dir"))
        raw.fall_back(section, "Dataset", ("CALIBRATION", "Dataset"))


def _locate(raw: Raw, configuration: Path) -> None:
    """Make every folder absolute (the rule is `paths`'s)."""
    _name_onnx(raw)
    name = raw.get("DEFAULT", "Model_name")
    if name and len(str(name.value).encode(errors="replace")) > _LONGEST_NAME:
        raise MRTError(f"{name.where}: a model's name is that of files, and takes at most {_LONGEST_NAME} bytes")
    given = _folder(raw, "DEFAULT", "Model_dir") or Path("~/mrt_model").expanduser()
    model_dir = paths.model_dir(given, str(name.value) if name else "", configuration)
    _place(raw, "DEFAULT", "Model_dir", model_dir)
    output_dir = _folder(raw, "DEFAULT", "Output_dir")
    output_dir = paths.written_dir(output_dir) if output_dir else paths.output_dir(given, model_dir)
    _place(raw, "DEFAULT", "Output_dir", output_dir)
    if "COMPILATION" in raw.sections:
        dump_dir = _folder(raw, "COMPILATION", "Dump_dir")
        _place(raw, "COMPILATION", "Dump_dir", paths.written_dir(dump_dir) if dump_dir else output_dir)
    teacher = _folder(raw, "DISTILLATION", "Teacher")
    if teacher is not None:
        _place(
            raw, "DISTILLATION", "Teacher", paths.model_dir(teacher.parent, teacher.name, configuration) / teacher.name
        )
    for section in ("CALIBRATION", "EVALUATION", "TRAIN", "FINETUNE", "QAT", "SHARING"):
        dataset_dir = _folder(raw, section, "Dataset_dir")
        if dataset_dir is not None:
            _place(raw, section, "Dataset_dir", paths.dataset_dir(dataset_dir, configuration))
        for key in ("Dataset", "Metric"):
            entry = raw.get(section, key)
            if entry is not None and ":" in str(entry.value):
                raw.set(section, key, paths.code(str(entry.value), configuration), entry.where)


def _name_onnx(raw: Raw) -> None:
    """Take the path of an ONNX model that Model_name may be apart, into Model_dir and a name without the ending."""
    entry = raw.get("DEFAULT", "Model_name")
    if entry is None or not str(entry.value).endswith(".onnx"):
        return
    folder = _folder(raw, "DEFAULT", "Model_dir")
    path = Path(str(entry.value)).expanduser()
    if len(path.parts) > 1 or folder is None:
        folder = (folder or Path()) / path.parent
    raw.set("DEFAULT", "Model_dir", str(folder), entry.where)
    raw.set("DEFAULT", "Model_name", path.stem, entry.where)


def _folder(raw: Raw, section: str, key: str) -> Path | None:
    """Return the folder that a key names, `~` expanded, or None where it is empty."""
    entry = raw.get(section, key)
    if entry is None:
        return None
    try:
        return Path(str(entry.value)).expanduser()
    except RuntimeError as error:
        raise MRTError(f"{entry.where} = {entry.value}: {error}; allowed: {_allowed(section, key)}") from error


def _place(raw: Raw, section: str, key: str, folder: Path) -> None:
    entry = raw.get(section, key)
    raw.set(section, key, str(folder), entry.where if entry else raw.source)


def _validate(raw: Raw) -> Config:
    values = {
        section: {key: entry.value for key, entry in entries.items()} for section, entries in raw.sections.items()
    }
    try:
        return Config.model_validate(values)
    except pydantic.ValidationError as error:
        raise MRTError(_message(raw, error)) from error


def _message(raw: Raw, error: pydantic.ValidationError) -> str:
    """Return the first error as one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    problem = first["msg"].replace("Value error, ", "").replace("Input should", "should").rstrip(".")
    location = [str(part) for part in first["loc"]]
    if len(location) < 2:
        return f"{raw.source}: {''.join(f'[{section}] ' for section in location)}{problem}"
    section, key, *inside = location
    entry = raw.get(section, key)
    if entry is None:
        return f"{raw.source}: [{section}] {key}: is required; allowed: {_allowed(section, key)}"
    value = f" = {_short(entry.value)}" if not entry.where.startswith("--set") else ""
    item = f"{': '.join(inside)}: " if inside and not inside[0].isdigit() else ""
    return f"{entry.where}{value}: {item}{problem}; allowed: {_allowed(section, key)}"


def _allowed(section: str, key: str) -> str:
    """Return the schema's description of what a key may hold."""
    return next(str(field.description) for field in SECTIONS[section].model_fields.values() if field.alias == key)


def _short(value: Any, limit: int = 80) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
