"""Datasets by name: their layout on disk, preprocessing, labels and metric, one file each."""

from __future__ import annotations

from pathlib import Path

from mrt.datasets.ade20k import ADE20K
from mrt.datasets.base import Dataset, MissingDataError, Preprocess, UnfitError
from mrt.datasets.cifar10 import CIFAR10
from mrt.datasets.citys import Cityscapes
from mrt.datasets.coco import COCO
from mrt.datasets.digits import Digits
from mrt.datasets.folder import Folder
from mrt.datasets.imagenet import ImageNet
from mrt.datasets.mask_folder import MaskFolder, holds_masks
from mrt.datasets.metric import Metric
from mrt.datasets.mnist import MNIST
from mrt.datasets.npz import Npz
from mrt.datasets.own import Own, own_metric
from mrt.datasets.quickdraw import QuickDraw
from mrt.datasets.seg_digits import SegDigits
from mrt.datasets.sst2 import SST2
from mrt.datasets.synthetic import Synthetic, stand_in
from mrt.datasets.trec import Trec
from mrt.datasets.voc import VOC
from mrt.datasets.voc_digits import VOCDigits
from mrt.datasets.voc_seg import VOCSegmentation
from mrt.errors import MRTError
from mrt.graph.batch import InputShape

__all__ = [
    "Dataset",
    "Metric",
    "MissingDataError",
    "Preprocess",
    "Synthetic",
    "UnfitError",
    "get",
    "load",
    "names",
    "own_metric",
    "stand_in",
]

_DATASETS: dict[str, type[Dataset]] = {
    dataset.name: dataset
    for dataset in (
        ADE20K,
        CIFAR10,
        Cityscapes,
        COCO,
        Digits,
        Folder,
        ImageNet,
        MNIST,
        Npz,
        QuickDraw,
        SegDigits,
        SST2,
        Trec,
        VOC,
        VOCDigits,
        VOCSegmentation,
    )
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
        raise MRTError(f"unknown dataset {name!r}; known: {', '.join(names())}, or my_module:MyData") from None


def load(name: str, folder: Path | None, input_shape: InputShape, preprocess: Preprocess | None = None) -> Dataset:
    """The dataset of a name, in any case, or the user's own at a place such as `my_module:MyData`, opened.

    A folder is one of masks where it has these.

    Args:
        name: of `names`, or a place as `mrt.datasets.code.named` takes it.
        folder: where its files are; None for the default.
        input_shape: of the network's input, or by the inputs' names.
        preprocess: what differs from the dataset's own preprocessing.

    Raises:
        MRTError: there is none of that name, its files are missing or damaged, or do not suit the shape.
    """
    if ":" in name:
        return Own(name, folder, input_shape, preprocess)
    dataset = get(name)
    if dataset is Folder and folder is not None and holds_masks(Path(folder)):
        dataset = MaskFolder
    return dataset(folder, input_shape, preprocess)
