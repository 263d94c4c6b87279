"""From the outputs of all engines for the same pictures to what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from accuracy.results import Engine, Gain, Setting
from accuracy.statistics import difference, share, sqnr, sqnr_gain
from mrt.errors import MRTError

Array = npt.NDArray[Any]
Outputs = Mapping[str, "Array | str"]  # of each setting: outputs (pictures, classes), or why there are none


def judge(labels: Array, reference: Array, ours: str, outputs: Mapping[str, Outputs]) -> dict[str, Engine]:
    """Each engine at its best setting; an engine without any outputs is left out.

    Args:
        labels: class of each picture.
        reference: outputs of the float network (pictures, classes).
        ours: the engine that the others are compared with.
        outputs: by engine, then by setting.

    Raises:
        MRTError: ours has no outputs.
    """
    settings = {engine: _settings(labels, reference, found) for engine, found in outputs.items()}
    best = {engine: name for engine, found in settings.items() if (name := _best(found)) is not None}
    if ours not in best:
        raise MRTError(f"{ours} gave no outputs: {'; '.join(map(str, outputs[ours].values())) or 'it did not run'}")
    our_outputs = np.asarray(outputs[ours][best[ours]])
    engines = {}
    for engine, name in best.items():
        found = np.asarray(outputs[engine][name])
        gain = None
        if engine != ours:
            clearest = _clearest(settings[engine])
            gain = _gain(reference, our_outputs, found, clearest, np.asarray(outputs[engine][clearest]))
        engines[engine] = _engine(labels, reference, found, gain, name, settings[engine])
    return engines


def _settings(labels: Array, reference: Array, outputs: Outputs) -> dict[str, Setting]:
    def setting(found: Array | str) -> Setting:
        if isinstance(found, str):
            return Setting(failure=found)
        top1, agreement = _right(found, labels).mean(), _right(found, _classes(reference)).mean()
        return Setting(float(top1), float(agreement), sqnr(reference, found).value)

    return {name: setting(found) for name, found in outputs.items()}


def _best(settings: Mapping[str, Setting]) -> str | None:
    ranks = {name: (s.agreement, s.sqnr) for name, s in settings.items() if s.agreement is not None}
    return max(ranks, key=lambda name: ranks[name], default=None)


def _clearest(settings: Mapping[str, Setting]) -> str:
    ranks = {name: s.sqnr for name, s in settings.items() if s.sqnr is not None}
    return max(ranks, key=lambda name: ranks[name])


def _gain(reference: Array, ours: Array, best: Array, name: str, clearest: Array) -> Gain:
    classes = _classes(reference)
    agreement = difference(_right(ours, classes), _right(best, classes))
    return Gain(agreement, name, sqnr_gain(reference, ours, clearest))


def _engine(
    labels: Array, reference: Array, outputs: Array, gain: Gain | None, best: str, settings: dict[str, Setting]
) -> Engine:
    right = _right(outputs, labels)
    return Engine(
        best,
        float(right.mean()),
        difference(_right(reference, labels), right),
        share(_right(outputs, _classes(reference))),
        sqnr(reference, outputs),
        gain,
        settings,
    )


def _classes(outputs: Array) -> Array:
    classes: Array = outputs.argmax(axis=1)
    return classes


def _right(outputs: Array, labels: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(_classes(outputs) == labels)
