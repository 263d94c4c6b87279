from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrt import datasets
from mrt.datasets import Dataset
from mrt.errors import MRTError

LAYOUT = "cifar10/cifar-10-batches-bin"


def cifar10(root: Path) -> Dataset:
    return datasets.get("cifar10")(root, (-1, 3, 32, 32))


@pytest.fixture
def records(tmp_path: Path) -> dict[str, np.ndarray]:
    """Random files in the binary layout: 4 records in each training file, 6 in the test file."""
    rng = np.random.default_rng(0)
    folder = tmp_path / LAYOUT
    folder.mkdir(parents=True)
    written = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        content = rng.integers(0, 256, size=(6 if name == "test_batch" else 4, 3073), dtype=np.uint8)
        content[:, 0] %= 10
        (folder / f"{name}.bin").write_bytes(content.tobytes())
        written[name] = content
    return written


def test_reads_the_planes_and_normalises_them(tmp_path: Path, records: dict[str, np.ndarray]) -> None:
    test = records["test_batch"]
    ((pictures, labels),) = cifar10(tmp_path).batches("evaluation", 10)
    assert pictures.dtype == np.float32 and labels.tolist() == test[:, 0].tolist()
    red, green, blue = (test[:, 1 + 1024 * c : 1 + 1024 * (c + 1)].reshape(-1, 32, 32) / 255 for c in range(3))
    np.testing.assert_allclose(pictures[:, 0], (red - 0.4914) / 0.2023, atol=1e-6)
    np.testing.assert_allclose(pictures[:, 1], (green - 0.4822) / 0.1994, atol=1e-6)
    np.testing.assert_allclose(pictures[:, 2], (blue - 0.4465) / 0.2010, atol=1e-6)


@pytest.mark.parametrize("split", ["train", "calibration"])
def test_training_files_follow_each_other(tmp_path: Path, records: dict[str, np.ndarray], split: str) -> None:
    expected = np.concatenate([records[f"data_batch_{i}"] for i in range(1, 6)])
    dataset = cifar10(tmp_path)
    assert dataset.size(split) == 20
    assert [y for _, labels in dataset.batches(split, 3) for y in labels] == expected[:, 0].tolist()
    shuffled = np.random.default_rng(1).permutation(20)
    pixels, labels = dataset.read(split, shuffled)
    assert np.array_equal(pixels.reshape(20, -1), expected[shuffled, 1:])
    assert np.array_equal(labels, expected[shuffled, 0])


def test_augmentation_crops_and_mirrors(tmp_path: Path, records: dict[str, np.ndarray]) -> None:
    dataset = cifar10(tmp_path)
    pixels, _ = dataset.read("train", np.arange(20))
    moved = dataset.augment(pixels, np.random.default_rng(0))
    around = np.pad(pixels, ((0, 0), (0, 0), (4, 4), (4, 4)))
    crops = [around[:, :, y : y + 32, x : x + 32] for y in range(9) for x in range(9)]
    plain = [any(np.array_equal(crop[i], moved[i]) for crop in crops) for i in range(20)]
    mirrored = [any(np.array_equal(crop[i, :, :, ::-1], moved[i]) for crop in crops) for i in range(20)]
    assert all(a or b for a, b in zip(plain, mirrored))
    assert 3 < sum(mirrored) < 17


def test_also_found_in_the_root_itself(tmp_path: Path, records: dict[str, np.ndarray]) -> None:
    assert cifar10(tmp_path / LAYOUT).size("evaluation") == 6
    assert cifar10(tmp_path / "cifar10").size("evaluation") == 6


def test_names_the_missing_file_and_its_place(tmp_path: Path, records: dict[str, np.ndarray]) -> None:
    (tmp_path / LAYOUT / "data_batch_3.bin").unlink()
    with pytest.raises(MRTError, match=rf"data_batch_3\.bin not found; put it in {tmp_path / LAYOUT}"):
        cifar10(tmp_path).size("train")


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes(3073 + 5)])
def test_refuses_a_truncated_file(tmp_path: Path, records: dict[str, np.ndarray], content: bytes) -> None:
    (tmp_path / LAYOUT / "test_batch.bin").write_bytes(content)
    with pytest.raises(MRTError, match=r"test_batch\.bin has \d+ bytes"):
        cifar10(tmp_path).size("evaluation")


def test_refuses_another_format_of_the_right_size(tmp_path: Path, records: dict[str, np.ndarray]) -> None:
    (tmp_path / LAYOUT / "test_batch.bin").write_bytes(b"\x80" * 3073)
    with pytest.raises(MRTError, match="label above 9"):
        cifar10(tmp_path).size("evaluation")
