"""Arrays in a file: any shape, any number of inputs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.errors import MRTError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 15, 24, 24)).astype(np.float32)
Y = np.arange(20)
SHAPE = (-1, 15, 24, 24)


def npz(root: Path, shape: Any = SHAPE, preprocess: Preprocess | None = None, /, **arrays: Any) -> Dataset:
    np.savez(root / "data.npz", **arrays)
    return datasets.load("npz", root, shape, preprocess)


def whole(dataset: Dataset, split: str) -> tuple[Any, np.ndarray]:
    parts = list(dataset.batches(split, 7))
    return np.concatenate([data for data, _ in parts]), np.concatenate([labels for _, labels in parts])


def test_any_shape_in_a_fixed_order(tmp_path: Path) -> None:
    dataset = npz(tmp_path, x=X, y=Y)
    assert dataset.shared_calibration
    data, labels = whole(dataset, "evaluation")
    assert labels.tolist() == np.random.default_rng(0).permutation(20).tolist()
    assert np.array_equal(data, X[labels]) and data.dtype == np.float32
    assert dataset.preprocess_info() is None
    by_file = datasets.load("npz", tmp_path / "data.npz", SHAPE)
    assert np.array_equal(whole(by_file, "calibration")[0], data)


@pytest.mark.parametrize("names", [("x", "y", "x_val", "y_val"), ("x_train", "y_train", "x_test", "y_test")])
def test_arrays_of_their_own_for_evaluation(tmp_path: Path, names: tuple[str, ...]) -> None:
    dataset = npz(tmp_path, **dict(zip(names, (X[:12], Y[:12], X[12:], Y[12:]))))
    assert not dataset.shared_calibration
    assert sorted(whole(dataset, "calibration")[1]) == sorted(whole(dataset, "train")[1]) == list(range(12))
    assert sorted(whole(dataset, "evaluation")[1]) == list(range(12, 20))
    assert dataset.split_name("evaluation") == names[2]


def test_several_inputs_and_integers_as_they_are(tmp_path: Path) -> None:
    tokens, mask = RNG.integers(0, 1000, (5, 20)), RNG.random((20, 5)).astype(np.float64)
    dataset = npz(tmp_path, {"tokens": (5, -1), "mask": (-1, 5)}, tokens=tokens, mask=mask, y=Y)
    for feed, labels in dataset.batches("evaluation", 6):
        assert np.array_equal(feed["tokens"], tokens[:, labels]) and feed["tokens"].dtype == tokens.dtype
        assert np.array_equal(feed["mask"], mask[labels].astype(np.float32)) and feed["mask"].dtype == np.float32


def test_stored_pixels_are_normalised_where_told_so(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (4, 3, 5, 5), np.uint8)
    own = Preprocess(mean=(0.5, 0.25, 0.0), std=(0.5,), scale=255.0, label_offset=1)
    dataset = npz(tmp_path, (-1, 3, 5, 5), own, x=pixels, y=np.zeros(4, int), x_val=pixels[:1], y_val=np.zeros(1, int))
    ((data, labels),) = dataset.batches("evaluation", 1)
    mean = np.array([0.5, 0.25, 0.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(data[0], (pixels[0] / 255 - mean) / 0.5, rtol=1e-5, atol=1e-6)
    assert labels.tolist() == [1]
    record = dataset.preprocess_info()
    assert record is not None and record["layout"] == "NCHW" and record["channels"] == "RGB"


def test_without_labels_nothing_is_judged(tmp_path: Path) -> None:
    dataset = npz(tmp_path, x=X)
    assert not dataset.labelled and set(whole(dataset, "evaluation")[1]) == {-1}


def test_labels_that_are_no_classes_stay_as_they_are(tmp_path: Path) -> None:
    targets = RNG.normal(size=(20, 2))
    dataset = npz(tmp_path, x=X, y=targets)
    assert np.array_equal(whole(dataset, "evaluation")[1], targets[np.random.default_rng(0).permutation(20)])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"z": X}, "must have the arrays x and y; it has z"),
        ({"x": X[:, :3], "y": Y}, "has the shape 20,3,24,24; it must be -1,15,24,24"),
        ({"x": X, "y": Y[:5]}, r"has 20 samples, but y has the shape \(5,\)"),
        ({"x": np.where(X > 2, np.nan, X), "y": Y}, "x of .*data.npz has values that are not finite"),
        ({"x": X, "y": np.where(Y == 3, np.nan, Y)}, "y of .*data.npz has labels that are not finite"),
        ({"x": X.astype(str), "y": Y}, "no numbers"),
        ({"x": X[:0], "y": Y[:0]}, "no samples"),
        ({"x": np.array([None, {}]), "y": Y}, "no readable .npz file of plain arrays"),
    ],
)
def test_refuses_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], reason: str) -> None:
    with pytest.raises(MRTError, match=reason):
        npz(tmp_path, **arrays)


def test_refuses_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match=r"there is no .*data\.npz"):
        datasets.load("npz", tmp_path, SHAPE)
    npz(tmp_path, x=X, y=Y)
    content = (tmp_path / "data.npz").read_bytes()
    for damaged in (b"", content[:5000], content[:200] + b"?" * 200 + content[400:]):
        (tmp_path / "data.npz").write_bytes(damaged)
        with pytest.raises(MRTError, match=r"data.npz"):
            datasets.load("npz", tmp_path, SHAPE)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"")
    content = bytearray((tmp_path / "data.npz").read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24  # the size in the directory
    content[at : at + 4] = (2**32 - 2).to_bytes(4, "little")
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.sysconf", lambda name: {"SC_PHYS_PAGES": 2**20, "SC_PAGE_SIZE": 4096}[name])
        with pytest.raises(MRTError, match=r"4\.0 GiB, more than half of this machine's memory"):
            datasets.load("npz", tmp_path, SHAPE)
