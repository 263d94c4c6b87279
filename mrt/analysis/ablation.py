"""Changes one switch of quantization at a time, to find what each gains; and keeps what all such runs share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np

from mrt.calibrate.thresholds import AUTO, CALIBRATORS, LAMBDA
from mrt.config import Config
from mrt.graph import Array
from mrt.quantizer.rounding import COMPENSATED, LEARNED, NEAREST

CONFIGURED = "as configured"
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
        batches: Iterable[tuple[Array, Array]],
        run: Callable[[Array], list[Array]],
        advance: Callable[[int], None],
    ) -> None:
        self._paths: list[Path] = []
        self._outputs: list[Array] = []
        for index, (data, labels) in enumerate(batches):
            path = folder / f"{index}.npz"
            np.savez(path, data, labels, *run(data))
            self._paths.append(path)
            advance(len(labels))

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """The pictures and labels, batch by batch."""
        for path in self._paths:
            with np.load(path) as stored:
                data, labels, *self._outputs = (stored[f"arr_{index}"] for index in range(len(stored.files)))
            yield data, labels

    def outputs(self, data: Array) -> list[Array]:
        """The float network's outputs on the batch that `batches` gave last."""
        return self._outputs
