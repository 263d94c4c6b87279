"""Quick, Draw!, and the synthetic pictures that stand in for missing data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrt.datasets import MissingDataError, Preprocess, Synthetic, get
from mrt.errors import MRTError

SHAPE = (-1, 1, 28, 28)
CLASSES = ["bird", "cat", "dog", "fish", "frog", "hat", "key", "lamp", "sun", "tree"]


def write(folder: Path, count: int = 10) -> None:
    """Class number c's doodle number i is all 10 * c + i."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(CLASSES):
        doodles = 10 * number + np.arange(count)[:, None] + np.zeros((count, 784))
        np.save(folder / f"{name}.npy", doodles.astype(np.uint8))


def test_classes_alternate_and_the_splits_are_apart(tmp_path: Path) -> None:
    write(tmp_path / "quickdraw")
    data = get("quickdraw")(tmp_path, SHAPE)
    assert data.labels == CLASSES
    assert (data.size("evaluation"), data.size("calibration")) == (20, 80)
    ((pictures, labels),) = data.batches("evaluation", 20)
    assert labels.tolist() == 2 * list(range(10))
    assert pictures.shape == (20, 1, 28, 28)
    np.testing.assert_allclose(pictures[:, 0, 0, 0] * 255, [10 * (i % 10) + i // 10 for i in range(20)], rtol=1e-6)
    calibration = np.concatenate([batch for batch, _ in data.batches("calibration", 7)])
    assert not set(np.unique(calibration)) & set(np.unique(pictures))


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"CLASS\.npy"):
        get("quickdraw")(tmp_path, SHAPE)
    write(tmp_path / "quickdraw")
    (tmp_path / "quickdraw" / "cat.npy").write_bytes(b"no array")
    with pytest.raises(MRTError, match=r"cat\.npy cannot be read"):
        get("quickdraw")(tmp_path, SHAPE)
    np.save(tmp_path / "quickdraw" / "cat.npy", np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(MRTError, match=r"cat\.npy holds"):
        get("quickdraw")(tmp_path, SHAPE)
    (tmp_path / "quickdraw" / "cat.npy").unlink()
    with pytest.raises(MRTError, match="holds 9 classes"):
        get("quickdraw")(tmp_path, SHAPE)


def test_synthetic_pictures_are_the_same_every_time_and_fall_off_like_natural_ones() -> None:
    imagenet = get("imagenet")
    data = Synthetic(imagenet, (-1, 3, 64, 64))
    pixels, _ = data.read("calibration", np.arange(8))
    again, _ = Synthetic(imagenet, (-1, 3, 64, 64)).read("calibration", np.arange(8))
    np.testing.assert_array_equal(pixels, again)
    assert pixels.dtype == np.uint8 and pixels.shape == (8, 3, 64, 64)
    assert not np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels, data.read("evaluation", np.arange(8))[0])
    power = np.abs(np.fft.fft2(pixels - pixels.mean(axis=(2, 3), keepdims=True))).mean(axis=(0, 1)) ** 2
    assert power[0, 2] / power[0, 16] == pytest.approx(64, rel=0.5)  # 1 / f^2


def test_synthetic_pictures_take_the_preprocessing_of_what_they_stand_for() -> None:
    assert Synthetic(get("imagenet"), (-1, 3, 8, 8)).preprocess.mean == (123.68, 116.779, 103.939)
    own = Preprocess(mean=(127.5,), std=(127.5,))
    ((pictures, _),) = Synthetic(get("imagenet"), (-1, 3, 8, 8), own).batches("evaluation", 4, 0, 4)
    assert -1 <= pictures.min() < 0 < pictures.max() <= 1
