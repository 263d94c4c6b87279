"""Datasets with a class for every pixel: published layouts, folders with masks, composed pictures; and their metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cvm.picture import Preprocess as Recipe
from numpy.typing import NDArray
from PIL import Image

from mrt import datasets
from mrt.datasets import Dataset
from mrt.datasets.seg_digits import SegDigits
from mrt.datasets.segmentation_metric import MIOU, PIXELS, MeanIoU
from mrt.errors import MRTError

SHAPE = (-1, 3, 8, 8)
RNG = np.random.default_rng(0)


def put(path: Path, pixels: NDArray[Any], palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels.astype(np.uint8), mode="P" if palette else None)
    if palette:
        picture.putpalette(list(range(256)) * 3)
    picture.save(path)


def picture(height: int = 8, width: int = 8) -> NDArray[Any]:
    return RNG.integers(0, 256, (height, width, 3))


def only(dataset: Dataset, split: str = "evaluation") -> NDArray[Any]:
    """The labels of all pictures of a split."""
    ((inputs, labels),) = dataset.batches(split, 100)
    assert inputs.shape == (len(labels), 3, *labels.shape[1:]) and inputs.dtype == np.float32
    return labels


def test_cityscapes(tmp_path: Path) -> None:
    mask = np.zeros((8, 8))
    mask[0], mask[1], mask[2, :4] = 7, 33, 29  # road, bicycle, caravan
    for part, city in (("train", "aachen"), ("val", "ulm")):
        put(tmp_path / f"citys/leftImg8bit/{part}/{city}/{city}_0_0_leftImg8bit.png", picture())
        put(tmp_path / f"citys/gtFine/{part}/{city}/{city}_0_0_gtFine_labelIds.png", mask)
    dataset = datasets.load("citys", tmp_path, SHAPE)
    assert [dataset.size(split) for split in ("calibration", "evaluation", "train")] == [1, 1, 1]
    labels = only(dataset)
    assert (labels[0, 0] == 0).all() and (labels[0, 1] == 18).all() and (labels[0, 2:] == -1).all()
    assert dataset.labels is not None and (dataset.labels[0], dataset.labels[18]) == ("road", "bicycle")
    (tmp_path / "citys/gtFine/val/ulm/ulm_0_0_gtFine_labelIds.png").unlink()
    with pytest.raises(MRTError, match=r"labelIds.png is missing"):
        only(dataset)


def test_ade20k(tmp_path: Path) -> None:
    root = tmp_path / "ade20k" / "ADEChallengeData2016"
    for part in ("training", "validation"):
        put(root / f"images/{part}/ADE_1.jpg", picture())
        put(root / f"annotations/{part}/ADE_1.png", np.repeat([[0], [1], [150], [2]], 2, axis=0) * np.ones((1, 8)))
    assert only(datasets.load("ade20k", tmp_path, SHAPE))[0, ::2, 0].tolist() == [-1, 0, 149, 1]
    rows = "".join(f"{i}\t0.1\t1\t1\t0\tthing {i}, other\n" for i in range(1, 151))
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tStuff\tName\n" + rows)
    assert (datasets.load("ade20k", tmp_path, SHAPE).labels or [])[149] == "thing 150"
    put(root / "annotations/validation/ADE_1.png", np.full((8, 8), 151))
    with pytest.raises(MRTError, match="a mask has 151, beyond 150"):
        only(datasets.load("ade20k", tmp_path, SHAPE))


def test_voc_masks_have_palettes_and_void(tmp_path: Path) -> None:
    year = tmp_path / "voc" / "VOC2012"
    mask = np.repeat([[0], [20], [255], [1]], 2, axis=0) * np.ones((1, 8))
    for part in ("train", "val"):
        put(year / f"JPEGImages/{part}.jpg", picture())
        put(year / f"SegmentationClass/{part}.png", mask, True)
        (year / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (year / f"ImageSets/Segmentation/{part}.txt").write_text(f"{part}\n")
    dataset = datasets.load("voc_seg", tmp_path, SHAPE)
    assert only(dataset)[0, ::2, 0].tolist() == [0, 20, -1, 1]
    assert dataset.labels is not None and len(dataset.labels) == 21
    put(year / "SegmentationClass/val.png", np.full((8, 8), 21), True)
    with pytest.raises(MRTError, match="a mask has class 21, beyond 21 classes"):
        only(dataset)
    with pytest.raises(MRTError, match="no VOC2012"):
        datasets.load("voc_seg", tmp_path / "nowhere", SHAPE)


@pytest.mark.parametrize("size", [(8, 8), (8, 12)])
def test_pictures_are_resized_with_their_masks_as_the_runtime_does(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels, mask = np.zeros((16, 24, 3)), np.zeros((16, 24))
    pixels[4:12, 8:16], mask[4:12, 8:16] = 255, 3
    put(tmp_path / "images/a.png", pixels)
    put(tmp_path / "images/b.png", pixels)
    for name in "ab":
        put(tmp_path / f"masks/{name}.png", mask)
    dataset = datasets.load("folder", tmp_path, (-1, 3, *size))
    stored, labels = dataset.read("evaluation", np.arange(1))
    np.testing.assert_array_equal(stored[0, 0] > 127, labels[0] == 3)
    assert labels.shape == (1, *size) and set(np.unique(labels)) == {0, 3}
    recipe = Recipe.parse(dataset.preprocess_info() or {})
    assert recipe is not None
    np.testing.assert_array_equal(recipe(tmp_path / "images/a.png", *size), dataset.normalise(stored))


def test_a_folder_of_pairs(tmp_path: Path) -> None:
    for part, names in (("train", "abc"), ("val", "de")):
        for name in names:
            put(tmp_path / part / f"images/more/{name}.jpg", picture())
            put(tmp_path / part / f"masks/more/{name}.png", np.full((8, 8), 255 if name == "d" else 1))
    dataset = datasets.load("folder", tmp_path, SHAPE)
    assert (dataset.size("calibration"), dataset.size("evaluation"), dataset.shared_calibration) == (3, 2, False)
    assert sorted(only(dataset)[:, 0, 0]) == [-1, 1]
    (tmp_path / "classes.txt").write_text("ground\n")
    with pytest.raises(MRTError, match=r"a mask has class 1, classes.txt names 1"):
        only(datasets.load("folder", tmp_path, SHAPE))
    put(tmp_path / "val/masks/more/d.png", np.zeros((4, 8)))
    with pytest.raises(MRTError, match=r"a mask of \(4, 8\) pixels for a picture of \(8, 8\)"):
        only(dataset)
    put(tmp_path / "val/masks/more/d.png", picture())
    with pytest.raises(MRTError, match=r"d.png: is no mask of class numbers"):
        only(dataset)
    (tmp_path / "val/masks/more/d.png").unlink()
    with pytest.raises(MRTError, match=r"images.more.d.jpg has no mask"):
        datasets.load("folder", tmp_path, SHAPE)


def test_composed_digits_have_the_masks_of_their_ink(tmp_path: Path) -> None:
    SegDigits.compose(tmp_path / "seg_digits", {"train": 4, "val": 3})
    SegDigits.compose(tmp_path / "fewer" / "seg_digits", {"train": 1, "val": 1})
    more, fewer = (
        {path.name: path.read_bytes() for path in (tmp_path / place).rglob("*.*g")} for place in ("seg_digits", "fewer")
    )
    assert len(fewer) == 4 and fewer.items() <= more.items()
    dataset = datasets.load("seg_digits", tmp_path, (-1, 3, 64, 64))
    stored, labels = dataset.read("train", np.arange(4))
    assert dataset.labels == ["background", *"0123456789"]
    assert {-1, 0} < set(np.unique(labels)) <= set(range(-1, 11))
    for pixels, mask in zip(stored.mean(axis=1), labels):
        assert 0.01 < (mask > 0).mean() < 0.6
        for number in set(np.unique(mask)) - {-1, 0}:
            assert np.abs(pixels[mask == number] - pixels[mask == 0].mean()).mean() > 20  # it stands out


def test_miou_by_hand() -> None:
    labels = np.array([[[0, 0, 1], [1, -1, 2]]])
    said = np.array([[[0, 1, 1], [1, 2, 0]]])
    metric = MeanIoU()
    metric.update(labels, said)
    # class 0: 1 of {2 pixels, 1 more said}; 1: 2 of 3; 2: none of 1, as the -1 does not count
    assert metric.values() == pytest.approx({MIOU: (1 / 3 + 2 / 3 + 0) / 3, PIXELS: 3 / 5})
    scores = np.moveaxis(np.eye(4)[said], -1, 1)
    again = MeanIoU()
    again.update(labels, scores.astype(np.float32))
    assert again.values() == metric.values()
    assert "for labels of shape (2, 3)" in str(again.misfit(labels[0], [scores]))
    assert "labels up to 9, but 4 outputs a pixel" in str(again.misfit(labels + 7, [scores]))
    with pytest.raises(MRTError, match="none of the pictures has a pixel of a class"):
        MeanIoU().values()


def test_intervals_come_from_whole_pictures() -> None:
    rng = np.random.default_rng(1)
    metric, alike = MeanIoU(), MeanIoU()
    for _ in range(40):
        labels = rng.integers(0, 3, (1, 10, 10))
        wrong = rng.random((1, 10, 10)) < rng.uniform(0, 0.6)
        metric.update(labels, np.where(wrong, (labels + 1) % 3, labels))
        alike.update(labels, labels)
    for name, value in metric.values().items():
        low, high = metric.intervals()[name]
        assert low < value < high and 0.03 < high - low < 0.25
    assert alike.intervals() == {MIOU: (1.0, 1.0), PIXELS: (1.0, 1.0)}
    low, high = metric.losses(alike)[PIXELS]
    assert (1 - high, 1 - low) == pytest.approx(metric.intervals()[PIXELS])
    assert metric.losses(metric) == {MIOU: (0.0, 0.0), PIXELS: (0.0, 0.0)}
