from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from mrt import datasets
from mrt.advice import advised
from mrt.datasets import Dataset
from mrt.errors import MRTError

PICTURES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
PIXELS = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
ENCODED_PICTURES = struct.pack(">BBBB3I", 0, 0, 8, 3, 3, 28, 28) + PIXELS.tobytes()
ENCODED_LABELS = struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes([7, 2, 9])


def mnist(root: Path) -> Dataset:
    return datasets.get("mnist")(root, (-1, 1, 28, 28))


def write(folder: Path, pictures: bytes = ENCODED_PICTURES, labels: bytes = ENCODED_LABELS) -> None:
    folder.mkdir(exist_ok=True)
    (folder / PICTURES).write_bytes(pictures)
    (folder / LABELS).write_bytes(labels)


@pytest.mark.parametrize("layout", ["", "mnist"])
@pytest.mark.parametrize("packed", [False, True])
def test_reads_idx_files(tmp_path: Path, layout: str, packed: bool) -> None:
    folder = tmp_path / layout
    write(folder)
    if packed:
        for path in (folder / PICTURES, folder / LABELS):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    ((pictures, labels),) = mnist(tmp_path).batches("evaluation", 10)
    assert np.array_equal(pictures[:, 0], PIXELS.astype(np.float32) / np.float32(255))
    assert labels.tolist() == [7, 2, 9]


def test_names_the_missing_file_and_its_place(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match=rf"{PICTURES}\.gz not found; put it in {tmp_path / 'mnist'}$") as caught:
        mnist(tmp_path).size("evaluation")
    assert advised(caught.value).endswith("; or name another root directory with Dataset_dir or MRT_DATA")


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        (ENCODED_PICTURES[:-1], ENCODED_LABELS),
        (ENCODED_PICTURES[:9], ENCODED_LABELS),
        (b"", ENCODED_LABELS),
        (ENCODED_PICTURES + b"\0", ENCODED_LABELS),
        (ENCODED_LABELS, ENCODED_LABELS),
        (ENCODED_PICTURES, ENCODED_PICTURES),
    ],
)
def test_refuses_files_that_are_not_whole_idx_files(tmp_path: Path, pictures: bytes, labels: bytes) -> None:
    write(tmp_path, pictures, labels)
    with pytest.raises(MRTError, match="is not an idx file"):
        mnist(tmp_path).size("evaluation")


def test_refuses_truncated_packed_files(tmp_path: Path) -> None:
    (tmp_path / f"{PICTURES}.gz").write_bytes(gzip.compress(ENCODED_PICTURES)[:-20])
    with pytest.raises(MRTError, match="cannot be unpacked"):
        mnist(tmp_path).size("evaluation")


def test_a_packed_file_is_never_unpacked_beyond_what_mnist_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrt.datasets.mnist._MOST_BYTES", 10_000)
    packed = gzip.compress(ENCODED_PICTURES + bytes(50_000_000))
    (tmp_path / f"{PICTURES}.gz").write_bytes(packed)
    read: list[int] = []
    whole = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        content = whole(self, size)
        read.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(MRTError, match="not MNIST"):
        mnist(tmp_path).size("evaluation")
    assert sum(read) <= 10_001


@pytest.mark.parametrize("labels", [bytes([7, 2]), bytes([7, 2, 10])])
def test_refuses_labels_that_do_not_fit(tmp_path: Path, labels: bytes) -> None:
    write(tmp_path, labels=struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + labels)
    with pytest.raises(MRTError, match="fetch both"):
        mnist(tmp_path).size("evaluation")


def test_the_real_files(shared: Path) -> None:
    dataset = mnist(shared / "data")
    assert (dataset.size("train"), dataset.size("calibration"), dataset.size("evaluation")) == (60000, 60000, 10000)
    ((_, labels),) = dataset.batches("evaluation", 10, count=10)
    assert labels.tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    train = np.concatenate([pictures for pictures, _ in dataset.batches("train", 10000)])
    # the published statistics of the training pictures
    assert train.mean() == pytest.approx(0.1307, abs=5e-5) and train.std() == pytest.approx(0.3081, abs=5e-5)
