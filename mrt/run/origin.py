"""What a checkpoint is made from: weights, data, and the sections of the configuration up to its stage.

Compared when a run resumes, so that a checkpoint of another network, other data or other settings is never taken for
this run's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from mrt.config import Config, Start
from mrt.config.base import Section
from mrt.config.paths import onnx_file, spellings
from mrt.config.sections import CalibrationSwitches, MergeModel, PrepareSwitches, QuantizationSwitches, SplitModel
from mrt.frontends.onnx.file import external_files
from mrt.run.sample_source import SampleSource

_PICTURES = 2
_NO_EFFECT = ("verify", "dump", "device_type", "device_ids")
_SECTIONS: dict[Start, tuple[tuple[str, type[Section]], ...]] = {
    Start.PREPARE: (("split_model", SplitModel), ("prepare", PrepareSwitches), ("calibration", CalibrationSwitches)),
    Start.QUANTIZATION: (("quantization", QuantizationSwitches),),
    Start.MERGE_MODEL: (("merge_model", MergeModel),),
}
_LATER = ("calibrator", "calibrators", "lambda_")  # of [CALIBRATION], what the quantize stage reads


class Origin:
    """What the checkpoints of a run are made from.

    Args:
        config: names the network, and says how it is treated.
        samples: the calibration data.
    """

    def __init__(self, config: Config, samples: SampleSource) -> None:
        self._config = config
        self._samples = samples

    def __call__(self, start: Start) -> Mapping[str, str]:
        """What a stage's checkpoint is made from, by the name of the key or thing."""
        default = self._config.default
        found = {
            "the network's files": self._files,
            "[DEFAULT] Input_shape": str(default.input_shape),
            "[CALIBRATION] Dataset": self._config.calibration.dataset,
            "the calibration data": self._data,
        }
        order = self._config.compressing
        for stage in order[: order.index(start) + 1] if start in order else order:
            self._add(found, stage.name.lower(), tuple(type(getattr(self._config, stage.name.lower())).model_fields))
            if stage is Start.FINETUNE:
                found["[DISTILLATION]"] = str(self._config.distillation)
        for name in ("qat", "sharing"):
            section = getattr(self._config, name)
            if start >= Start.QUANTIZATION and section is not None:
                self._add(found, name, type(section).model_fields)
        for stage, sections in _SECTIONS.items():
            for name, section in sections if stage <= start else ():
                later = _LATER if start < Start.QUANTIZATION else ()
                self._add(found, name, [key for key in section.model_fields if key not in later])
        return found

    def _add(self, found: dict[str, str], name: str, keys: Iterable[str]) -> None:
        for key in keys:
            if key not in _NO_EFFECT:
                found[f"[{name.upper()}] {key.rstrip('_').capitalize()}"] = str(
                    getattr(getattr(self._config, name), key)
                )

    @cached_property
    def _files(self) -> str:
        return _files_digest(self._config.default.model_dir, self._config.default.model_name)

    @cached_property
    def _data(self) -> str:
        count = self._samples.calibrated
        feed = self._samples.first(min(_PICTURES, count))
        found = hashlib.sha256()
        for array in feed.values() if isinstance(feed, Mapping) else [feed]:
            found.update(np.ascontiguousarray(array).tobytes())
        return f"{count} of {found.hexdigest()[:16]}"


def _files_digest(folder: Path, name: str) -> str:
    for pair in spellings(folder, name):
        if pair[0].is_file():
            found = hashlib.sha256()
            for path in pair:
                found.update(path.read_bytes() if path.is_file() else b"")
            return found.hexdigest()[:16]
    model = onnx_file(folder, name)
    if model.is_file():
        found = hashlib.sha256()
        for path in (model, *external_files(model)):
            found.update(path.read_bytes() if path.is_file() else b"")
        return found.hexdigest()[:16]
    return f"{name} of the Gluon zoo"
