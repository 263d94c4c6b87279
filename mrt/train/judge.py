"""What a network achieves on a dataset."""

from __future__ import annotations

from typing import Any, Callable

from mxnet import gluon
from numpy.typing import NDArray

from mrt.datasets import Dataset
from mrt.graph.batch import Feed
from mrt.train.learner import in_memory

Run = Callable[[Feed], "list[NDArray[Any]]"]


def judge(
    run: Run, dataset: Dataset, batch: int, split: str = "evaluation", start: int = 0, count: int | None = None
) -> dict[str, float]:
    """The dataset's metrics of a network on a split, or on `count` pictures of it from number `start` on."""
    metric = dataset.metric()
    for pictures, labels in dataset.batches(split, batch, start, count):
        metric.update(labels, metric.select(run(pictures)))
    return metric.values()


def evaluate(network: gluon.Block, dataset: Dataset, batch: int, split: str = "evaluation") -> dict[str, float]:
    """The dataset's metrics of a Gluon block on a whole split."""

    def run(pictures: Feed) -> list[NDArray[Any]]:
        outputs = network(*in_memory(pictures))
        return [output.asnumpy() for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]

    return judge(run, dataset, batch, split)
