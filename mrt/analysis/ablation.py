"""Changes one switch of quantization at a time, to find what each gains; and keeps what all such runs share."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Callable

import numpy as np

from mrt.calibrate.thresholds import AUTO, CALIBRATORS, LAMBDA
from mrt.config import Config
from mrt.graph import Array
from mrt.graph.batch import Feed
from mrt.integer.rounding import COMPENSATED, LEARNED, NEAREST

CONFIGURED = "as configured"
_INPUT, _ONLY, _LABELS = "input ", "", "labels"
_PLAIN: dict[str, dict[str, Any]] = {
    "prepare": {"equalize": False},
    "calibration": {"calibrator": "absmax"},
    "quantization": {"rounding": NEAREST, "bias_correction": False, "offset_activations": False, "precision": "8"},
}


def variants(config: Config, quick: bool = False) -> Iterator[tuple[str, Config]]:
    """The configuration as it is, with each switch at each other value, and with all of them off; each with its name.

    Args:
        config: where to start.
        quick: leave out learned rounding, which takes minutes.
    """
    calibrators = (*CALIBRATORS, *([LAMBDA] if config.calibration.lambda_ is not None else []), AUTO)
    switches: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
        ("prepare", "equalize", (True, False)),
        ("calibration", "calibrator", calibrators),
        ("quantization", "offset_activations", (True, False)),
        ("quantization", "precision", ("default", "8")),
        ("quantization", "bias_correction", (True, False)),
        ("quantization", "rounding", (NEAREST, COMPENSATED) if quick else (NEAREST, COMPENSATED, LEARNED)),
    )
    yield CONFIGURED, config
    for section, key, choices in switches:
        for choice in choices:
            if choice != getattr(getattr(config, section), key):
                yield f"[{section.upper()}] {key.capitalize()}={choice}", _changed(config, {section: {key: choice}})
    yield "all of them off", _changed(config, _PLAIN)


def _changed(config: Config, sections: dict[str, dict[str, Any]]) -> Config:
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=update) for name, update in sections.items()}
    )


class FloatOutputs:
    """Evaluation pictures with labels and with the float network's outputs, on disk: made once, read by every run."""

    def __init__(
        self,
        folder: Path,
        batches: Iterable[tuple[Feed, Array]],
        run: Callable[[Feed], list[Array]],
        advance: Callable[[int], None],
    ) -> None:
        self._paths: list[Path] = []
        self._read: deque[list[Array]] = deque()
        for index, (data, labels) in enumerate(batches):
            path = folder / f"{index}.npz"
            inputs = {f"{_INPUT}{name}": array for name, array in _named(data).items()}
            np.savez(path, **inputs, **{_LABELS: labels}, **{f"{i}": array for i, array in enumerate(run(data))})
            self._paths.append(path)
            advance(len(labels))

    def batches(self) -> Iterator[tuple[Feed, Array]]:
        """The pictures and labels, batch by batch."""
        self._read.clear()
        for path in self._paths:
            with np.load(path) as stored:
                inputs = {name[len(_INPUT) :]: stored[name] for name in stored.files if name.startswith(_INPUT)}
                self._read.append([stored[f"{i}"] for i in range(len(stored.files) - len(inputs) - 1)])
                labels = stored[_LABELS]
            yield inputs.get(_ONLY, inputs), labels

    def outputs(self, data: Feed) -> list[Array]:
        """The float network's outputs on the next of the batches that `batches` gave."""
        return self._read.popleft()


def _named(feed: Feed) -> Mapping[str, Array]:
    return feed if isinstance(feed, Mapping) else {_ONLY: feed}
