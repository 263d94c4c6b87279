"""Reads MRT v3's YAML files: their sections and keys, at their places in the schema."""

from __future__ import annotations

from typing import Any

import yaml

from mrt.config.raw import Raw, Target, Vocabulary
from mrt.errors import MRTError

__all__ = ["VOCABULARY", "read"]


def _device(section: str) -> dict[str, Target]:
    return {"DEVICE_TYPE": (section, "Device_type"), "DEVICE_IDS": (section, "Device_ids")}


_LARGEST = 100_000  # values in a file
_START, _RUN_EVALUATE, _RUN_COMPILE = ("START_AFTER", "RUN_EVALUATE", "RUN_COMPILE")

VOCABULARY = Vocabulary(
    {
        "COMMON": {
            "MODEL_NAME": ("DEFAULT", "Model_name"),
            "MODEL_DIR": ("DEFAULT", "Model_dir"),
            "VERBOSITY": ("DEFAULT", "Verbosity"),
            "BATCH": ("DEFAULT", "Batch"),
            **_device("DEFAULT"),
            _START: ("DEFAULT", "Start"),
            _RUN_EVALUATE: ("", _RUN_EVALUATE),
            _RUN_COMPILE: ("", _RUN_COMPILE),
            "PASS_NAME": None,
        },
        "PREPARE": {
            "INPUT_SHAPE": ("DEFAULT", "Input_shape"),
            "SPLIT_KEYS": ("SPLIT_MODEL", "Keys"),
            **_device("PREPARE"),
        },
        "CALIBRATE": {
            "BATCH": ("CALIBRATION", "Batch"),
            "NUM_CALIB": ("CALIBRATION", "Calibrate_num"),
            "LAMBD": ("CALIBRATION", "Lambda"),
            "DATASET_NAME": ("CALIBRATION", "Dataset"),
            "DATASET_DIR": ("CALIBRATION", "Dataset_dir"),
            **_device("CALIBRATION"),
        },
        "QUANTIZE": {
            "RESTORE_NAMES": ("QUANTIZATION", "Restore_name"),
            "INPUT_PRECISION": ("QUANTIZATION", "Input_precision"),
            "OUTPUT_PRECISION": ("QUANTIZATION", "Output_precision"),
            "SOFTMAX_LAMBD": ("QUANTIZATION", "Softmax_lambd"),
            "SHIFT_BITS": ("QUANTIZATION", "Shift_bits"),
            "THRESHOLDS": ("QUANTIZATION", "Thresholds"),
            "ATTRIBUTE_DEPS": ("MERGE_MODEL", "Attribute_deps"),
            "OSCALE_MAPS": ("MERGE_MODEL", "Oscale_maps"),
            **_device("QUANTIZATION"),
        },
        "EVALUATE": {
            "BATCH": ("EVALUATION", "Batch"),
            "ITER_NUM": ("EVALUATION", "Iter_num"),
            **_device("EVALUATION"),
        },
        "COMPILE": {
            "BATCH": ("COMPILATION", "Batch"),
            "DUMP_DIR": ("COMPILATION", "Dump_dir"),
            **_device("COMPILATION"),
        },
    }
)

_DEFAULTS = {
    ("DEFAULT", "Input_shape"): "(-1, 3, 224, 224)",
    ("CALIBRATION", "Dataset"): "imagenet",
    ("EVALUATION", "Iter_num"): "10",
    ("COMPILATION", "Batch"): "1",
    ("PREPARE", "Dump"): "True",
    ("SPLIT_MODEL", "Dump"): "True",
    ("CALIBRATION", "Dump"): "True",
    ("QUANTIZATION", "Dump"): "True",
    ("MERGE_MODEL", "Dump"): "True",
}
"""What MRT v3 does where its file says nothing, and the INI's defaults differ."""

_START_AFTER = {
    "initial": ("DEFAULT", "DEFAULT"),
    "prepare": ("PREPARE", "SPLIT_MODEL"),
    "calibrate": ("CALIBRATION", "CALIBRATION"),
    "quantize": ("QUANTIZATION", "MERGE_MODEL"),
}
"""The checkpoint each START_AFTER means: without SPLIT_KEYS, and with (v3 splits in prepare, merges in quantize)."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without its silent acceptance of a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            text = key.value if isinstance(key.value, str) else id(key)
            if text in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(text)
        return super().construct_mapping(node, deep)

    def get_single_node(self) -> yaml.Node | None:
        """The document, unless what it refers to (`*name`) makes it larger than any configuration is, or endless."""
        root = super().get_single_node()
        if root is not None:
            _size(root, {}, set())
        return root


def _size(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """How many values there are with every reference written out.

    Raises:
        yaml.constructor.ConstructorError: too many, or the node is part of itself.
    """
    if id(node) in above:
        raise yaml.constructor.ConstructorError(None, None, "refers to itself", node.start_mark)
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        children = [part for pair in parts for part in pair] if isinstance(node, yaml.MappingNode) else parts
        above.add(id(node))
        known[id(node)] = 1 + sum(_size(child, known, above) for child in children)
        above.discard(id(node))
    if known[id(node)] > _LARGEST:
        raise yaml.constructor.ConstructorError(None, None, f"holds over {_LARGEST} values", node.start_mark)
    return known[id(node)]


def read(text: str, source: str) -> Raw:
    """Read the text of a YAML file; `source` is its name in messages.

    Raises MRTError for text that isn't YAML, for an unknown or repeated section or key, and for anything that isn't
    sections of keys.
    """
    try:
        # A subclass of SafeLoader: it makes plain values only.
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}:" if mark is not None else ""
        raise MRTError(f"{source}:{place} {getattr(error, 'problem', None) or 'is not YAML'}") from error
    if not isinstance(content, dict) or not all(isinstance(keys, (dict, type(None))) for keys in content.values()):
        raise MRTError(f"{source}: must be sections ({', '.join(VOCABULARY.keys)}), each with its keys")

    raw = Raw(source, {"EVALUATION": {}, "COMPILATION": {}})
    for (section, key), value in _DEFAULTS.items():
        raw.set(section, key, value, f"{source}: default of [{section}] {key}")
    seen: set[tuple[str, str]] = set()
    for spelled, keys in content.items():
        section = VOCABULARY.section(str(spelled), f"{source}: {spelled}")
        for key, value in (keys or {}).items():
            where = f"{source}: {section}.{key}"
            if (section, str(key).upper()) in seen:
                raise MRTError(f"{where}: given twice")
            seen.add((section, str(key).upper()))
            VOCABULARY.put(raw, section, str(key), _text(value), where)
    return _translate(raw)


def _text(value: Any) -> Any:
    """Return a value with every leaf as the text an INI file would hold (null is empty)."""
    if isinstance(value, dict):
        return {str(key): _text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_text(item) for item in value]
    return "" if value is None else str(value)


def _translate(raw: Raw) -> Raw:
    """Turn the keys that have no counterpart of their own into what they mean."""
    start = raw.get("DEFAULT", "Start")
    if start is not None:
        stages = _START_AFTER.get(str(start.value).lower())
        if stages is None:
            raise MRTError(f"{start.where} = {start.value}: is not a stage; allowed: {', '.join(_START_AFTER)}")
        raw.set("DEFAULT", "Start", stages[raw.get("SPLIT_MODEL", "Keys") is not None], start.where)
    for switch, section in ((_RUN_EVALUATE, "EVALUATION"), (_RUN_COMPILE, "COMPILATION")):
        entry = raw.get("", switch)
        if entry is None:
            continue
        if str(entry.value).lower() not in ("true", "false"):
            raise MRTError(f"{entry.where} = {entry.value}: must be True or False")
        if str(entry.value).lower() == "false":
            del raw.sections[section]
    raw.sections.pop("", None)
    return raw
