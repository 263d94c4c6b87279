"""The digits need no files, so what all datasets share is tested on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.errors import MRTError

SHAPE = (-1, 1, 8, 8)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.get("digits")(None, SHAPE)


def whole(dataset: Dataset, split: str, batch: int = 100) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels = zip(*dataset.batches(split, batch))
    return np.concatenate(pictures), np.concatenate(labels)


def test_splits_hold_every_digit_of_scikit_learn_once(digits: Dataset) -> None:
    assert digits.size("train") + digits.size("evaluation") == 1797
    parts = [whole(digits, split) for split in ("train", "evaluation")]
    rows = np.concatenate([np.c_[pictures.reshape(-1, 64) * 16, labels] for pictures, labels in parts])
    expected = np.c_[load_digits().data, load_digits().target]
    assert np.array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])
    assert set(parts[1][1]) == set(range(10))


def test_calibration_never_sees_evaluation_pictures(digits: Dataset) -> None:
    assert not digits.shared_calibration
    calibration, evaluation = (whole(digits, split)[0] for split in ("calibration", "evaluation"))
    seen = {picture.tobytes() for picture in calibration}
    assert not any(picture.tobytes() in seen for picture in evaluation)


def test_batches_are_float32_nchw_in_the_same_order_for_any_batch(digits: Dataset) -> None:
    pictures, labels = whole(digits, "evaluation", 500)
    assert pictures.dtype == np.float32 and labels.dtype == np.int64
    assert pictures.shape == (500, 1, 8, 8) and pictures.min() == 0.0 and pictures.max() == 1.0
    again = whole(datasets.get("digits")(None, SHAPE), "evaluation", 7)
    assert np.array_equal(pictures, again[0]) and np.array_equal(labels, again[1])
    assert [len(y) for _, y in digits.batches("evaluation", 200)] == [200, 200, 100]


def test_start_and_count_pick_a_range(digits: Dataset) -> None:
    pictures, labels = whole(digits, "evaluation")
    part = list(digits.batches("evaluation", 8, start=100, count=20))
    assert [len(y) for _, y in part] == [8, 8, 4]
    assert np.array_equal(np.concatenate([x for x, _ in part]), pictures[100:120])
    assert np.array_equal(np.concatenate([y for _, y in part]), labels[100:120])


def test_pictures_are_read_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = datasets.get("digits")(None, SHAPE)
    read, asked = dataset.read, []

    def counted(split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(indices))
        return read(split, indices)

    monkeypatch.setattr(dataset, "read", counted)
    stream = dataset.batches("train", 10)
    assert asked == []
    next(stream)
    next(stream)
    assert asked == [10, 10]


def test_preprocessing_of_the_model_replaces_the_datasets_own(digits: Dataset) -> None:
    plain, labels = whole(digits, "evaluation")
    own = Preprocess(mean=(8.0,), std=(4.0,), scale=1.0, label_offset=1)
    shifted = datasets.get("digits")(None, SHAPE, own)
    pictures, offset_labels = whole(shifted, "evaluation")
    assert np.array_equal(pictures, (plain * 16 - 8) / 4)
    assert np.array_equal(offset_labels, labels + 1)
    assert digits.labels is not None and shifted.labels is not None
    assert shifted.labels[1:] == digits.labels
    assert shifted.preprocess_info() == {
        "mean": [8.0],
        "std": [4.0],
        "scale": 1.0,
        "label_offset": 1,
        "crop": None,
        "resize": None,
        "interpolation": None,
        "channels": "grey",
        "layout": "NCHW",
    }


def test_augmentation_shifts_by_no_more_than_the_padding(digits: Dataset) -> None:
    pixels, _ = digits.read("train", np.arange(50))
    moved = digits.augment(pixels, np.random.default_rng(0))
    around = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifts = [around[:, :, y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
    found = [{k for k, shift in enumerate(shifts) if np.array_equal(shift[i], moved[i])} for i in range(50)]
    assert all(found)
    assert len(set().union(*found)) > 4
    assert np.array_equal(moved, digits.augment(pixels, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("split", "batch", "start", "count", "message"),
    [
        ("test", 10, 0, None, "no split 'test'"),
        ("evaluation", 0, 0, None, "positive"),
        ("evaluation", 10, 490, 11, "has 500"),
        ("evaluation", 10, -1, 5, "has 500"),
        ("evaluation", 10, 501, None, "has 500"),
    ],
)
def test_refuses_batches_that_do_not_exist(
    digits: Dataset, split: str, batch: int, start: int, count: int | None, message: str
) -> None:
    with pytest.raises(MRTError, match=message):
        digits.batches(split, batch, start, count)


@pytest.mark.parametrize(
    ("shape", "preprocess", "message"),
    [
        ((-1, 3, 8, 8), Preprocess(), "must be -1,1,8,8"),
        ((-1, 64), Preprocess(), "must be -1,1,8,8"),
        (SHAPE, Preprocess(mean=(0.0, 0.0, 0.0)), "mean"),
        (SHAPE, Preprocess(std=(0.0,)), "positive"),
        (SHAPE, Preprocess(scale=0.0), "positive"),
        (SHAPE, Preprocess(crop=0.875), "used whole"),
    ],
)
def test_refuses_what_does_not_fit_the_pictures(shape: tuple[int, ...], preprocess: Preprocess, message: str) -> None:
    with pytest.raises(MRTError, match=message):
        datasets.get("digits")(None, shape, preprocess)


def test_names() -> None:
    assert {"cifar10", "digits", "imagenet", "mnist"} <= set(datasets.names())
    assert datasets.get("DIGITS") is datasets.get("digits")
    with pytest.raises(MRTError, match=r"unknown dataset 'imagnet'; known: .*digits.*imagenet"):
        datasets.get("imagnet")


def test_root_is_the_argument_then_the_environment_then_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = datasets.get("digits")
    monkeypatch.setenv("MRT_DATA", str(tmp_path / "environment"))
    assert dataset(tmp_path / "given", SHAPE).root == tmp_path / "given"
    assert dataset(None, SHAPE).root == tmp_path / "environment"
    monkeypatch.delenv("MRT_DATA")
    assert dataset(None, SHAPE).root == Path("data")
