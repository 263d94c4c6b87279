"""Datasets by name: their layout on disk, preprocessing, labels and metric, one file each."""

from __future__ import annotations

from mrt.datasets.base import Dataset, MissingDataError, Preprocess
from mrt.datasets.cifar10 import CIFAR10
from mrt.datasets.coco import COCO
from mrt.datasets.digits import Digits
from mrt.datasets.imagenet import ImageNet
from mrt.datasets.metric import Metric
from mrt.datasets.mnist import MNIST
from mrt.datasets.quickdraw import QuickDraw
from mrt.datasets.synthetic import Synthetic
from mrt.datasets.trec import Trec
from mrt.datasets.voc import VOC
from mrt.datasets.voc_digits import VOCDigits
from mrt.errors import MRTError

__all__ = ["Dataset", "Metric", "MissingDataError", "Preprocess", "Synthetic", "get", "names"]

_DATASETS: dict[str, type[Dataset]] = {
    dataset.name: dataset for dataset in (CIFAR10, COCO, Digits, ImageNet, MNIST, QuickDraw, Trec, VOC, VOCDigits)
}


def names() -> list[str]:
    """The known datasets, sorted."""
    return sorted(_DATASETS)


def get(name: str) -> type[Dataset]:
    """The dataset of that name, in any case.

    Raises:
        MRTError: there is none of that name.
    """
    try:
        return _DATASETS[name.lower()]
    except KeyError:
        raise MRTError(f"unknown dataset {name!r}; known: {', '.join(names())}") from None
