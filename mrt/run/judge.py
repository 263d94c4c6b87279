"""Finds what can judge a network's outputs, before anything is computed that takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrt import datasets
from mrt.datasets import Dataset, Metric
from mrt.datasets.detection_metric import DetectionMetric
from mrt.datasets.metric import TopK
from mrt.errors import MRTError
from mrt.graph import Array
from mrt.run.batching import Run

logger = logging.getLogger(__name__)

BY_DATASET, NONE = "auto", "none"
_PROBED = 32
_FEWEST = 16  # pictures from which on a score says something
_DEVIATIONS = 2.0


@dataclass(frozen=True)
class Judge:
    """What judges the outputs.

    Attributes:
        metric: makes a fresh metric; None where nothing does.
        reason: why not, in words; None where nobody asked for it.
    """

    metric: Callable[[], Metric] | None
    reason: str | None = None


def find_judge(wanted: str, dataset: Dataset, start: int, count: int, batch: int, float_run: Run) -> Judge:
    """The metric that [EVALUATION] Metric names, tried on the first pictures of the evaluation.

    A warning says so where the float network does no better on them than guessing.

    Args:
        wanted: the key's value.
        dataset: to evaluate on.
        start: the first picture of split "evaluation".
        count: how many there are, at least one.
        batch: how many to run at a time.
        float_run: the float network.

    Raises:
        MRTError: a metric is named that does not suit the network's outputs, or that there is not.
    """
    factory = _factory(wanted, dataset)
    if factory is None:
        return Judge(None, None if wanted == NONE else f"dataset {dataset.name} has no labels that say what is right")
    shown = min(count, _PROBED)
    scores, labels = [], []
    for data, truth in dataset.batches("evaluation", min(batch, shown), start, shown):
        outputs = float_run(data)
        misfit = factory().misfit(truth, outputs)
        if misfit and wanted != BY_DATASET:
            raise MRTError(f"[EVALUATION] Metric={wanted}: {misfit}")
        if misfit:
            logger.warning("accuracy is left out: %s", misfit)
            return Judge(None, misfit)
        if not isinstance(factory(), TopK) or outputs[0].ndim != 2:
            return Judge(factory)
        scores.append(outputs[0])
        labels.append(truth)
    _warn_of_guessing(np.concatenate(scores), np.concatenate(labels))
    return Judge(factory)


def _factory(wanted: str, dataset: Dataset) -> Callable[[], Metric] | None:
    if wanted == NONE:
        return None
    if wanted in ("top-1", "top-5"):
        return lambda: TopK((int(wanted[-1]),))
    if ":" in wanted:
        return datasets.own_metric(wanted)
    if wanted == "mAP" and not isinstance(dataset.metric(), DetectionMetric):
        raise MRTError(f"[EVALUATION] Metric=mAP: dataset {dataset.name} has no boxes to compare with")
    return dataset.metric if dataset.labelled else None


def _warn_of_guessing(scores: Array, labels: Array) -> None:
    """Warn where the scores (N, C) are right no more often than by chance."""
    count, classes = scores.shape
    chance = count / classes
    beyond_chance = chance + _DEVIATIONS * (chance * (1 - 1 / classes)) ** 0.5
    found = scores.argmax(axis=1)
    right = {offset: int((found == labels + offset).sum()) for offset in (0, -1, 1)}
    if count < _FEWEST or right[0] > beyond_chance:
        return
    shift = max((-1, 1), key=lambda offset: right[offset])
    better = right[shift] > beyond_chance and 2 * right[shift] > count
    hint = f" (with {shift:+d} on it: {right[shift]})" if better else ""
    logger.warning(
        "the float network itself is right on %d of the first %d pictures, no more than by guessing: check [DATASET] "
        "Label_offset%s, Mean, Std and Scale, and that the classes have the network's order; if its outputs are no "
        "class scores, set [EVALUATION] Metric=none",
        right[0],
        count,
        hint,
    )
