"""Finds what can judge a network's outputs, before anything is computed that takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mrt import datasets
from mrt.datasets import Dataset, Metric
from mrt.datasets.detection_metric import DetectionMetric
from mrt.datasets.metric import TopK
from mrt.datasets.segmentation_metric import MIOU, MeanIoU
from mrt.errors import MRTError, Remedy
from mrt.graph import Array
from mrt.graph.batch import Feed
from mrt.run.batching import Run

logger = logging.getLogger(__name__)

BY_DATASET, NONE = "auto", "none"
_TOP = {"top-1": 1, "top-5": 5, "top1": 1, "top5": 5}
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
    batches = dataset.batches("evaluation", min(batch, shown), start, shown)
    return tried(factory, None if wanted == BY_DATASET else wanted, batches, float_run)


def tried(
    factory: Callable[[], Metric], asked_for: str | None, batches: Iterable[tuple[Feed, Array]], float_run: Run
) -> Judge:
    """A metric, if it suits the float network's outputs on these pictures and labels.

    A warning says so where the network does no better on them than guessing.

    Args:
        factory: makes it.
        asked_for: what the user called it; None where nobody asked for this one.
        batches: pictures with labels.
        float_run: the float network.

    Raises:
        MRTError: a metric was asked for that does not suit the outputs.
    """
    scores, labels = [], []
    for data, truth in batches:
        outputs = float_run(data)
        misfit = factory().misfit(truth, outputs)
        if misfit and asked_for:
            raise MRTError(f"metric {asked_for}: {misfit}", Remedy.METRIC)
        if misfit:
            logger.warning("accuracy is left out: %s", misfit, extra={"remedy": Remedy.METRIC})
            return Judge(None, misfit)
        if not isinstance(factory(), TopK) or outputs[0].ndim != 2:
            return Judge(factory)
        scores.append(outputs[0])
        labels.append(truth)
    _warn_of_guessing(np.concatenate(scores), np.concatenate(labels))
    return Judge(factory)


def named_metric(name: str) -> Callable[[], Metric] | None:
    """What makes the metric of a name such as top-5 or module:Class; None where it is no name of one."""
    if name in _TOP:
        return partial(TopK, (_TOP[name],))
    if name == MIOU:
        return MeanIoU
    return datasets.own_metric(name) if ":" in name else None


def _factory(wanted: str, dataset: Dataset) -> Callable[[], Metric] | None:
    if wanted == NONE:
        return None
    if factory := named_metric(wanted):
        return factory
    if wanted == "mAP" and not isinstance(dataset.metric(), DetectionMetric):
        raise MRTError(f"metric mAP: dataset {dataset.name} has no boxes to compare with", Remedy.METRIC)
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
    hint = f" (with {shift:+d} on the labels: {right[shift]})" if better else ""
    logger.warning(
        "the float network itself is right on %d of the first %d pictures, no more than by guessing%s",
        right[0],
        count,
        hint,
        extra={"remedy": Remedy.LABELS},
    )
