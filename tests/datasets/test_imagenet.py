from __future__ import annotations

import io
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from PIL import Image

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.errors import MRTError

MEAN, STD = np.array([123.68, 116.779, 103.939]), np.array([58.393, 57.12, 57.375])


def imagenet(root: Path, size: int = 28, preprocess: Preprocess | None = None) -> Dataset:
    return datasets.get("imagenet")(root, (-1, 3, size, size), preprocess)


def png(picture: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    return encoded.getvalue()


def write_records(folder: Path, records: list[tuple[float | list[float], bytes]]) -> None:
    """A RecordIO of these labels and contents."""
    folder.mkdir(parents=True, exist_ok=True)
    file = mx.recordio.MXIndexedRecordIO(str(folder / "val.idx"), str(folder / "val.rec"), "w")
    for number, (label, content) in enumerate(records):
        header = mx.recordio.IRHeader(len(label) if isinstance(label, list) else 0, label, number, 0)
        file.write_idx(number, mx.recordio.pack(header, content))
    file.close()


def write(folder: Path, pictures: list[np.ndarray]) -> None:
    """A RecordIO of lossless pictures, labelled 5, 6, 7 and so on."""
    write_records(folder, [(5.0 + i, png(picture)) for i, picture in enumerate(pictures)])


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """For an input of 28 the shorter side is resized to 32: these are stored so already."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size=(*size, 3), dtype=np.uint8) for size in ((32, 32), (32, 51), (40, 32))]


@pytest.mark.parametrize("layout", ["imagenet/rec", "rec", ""])
def test_crops_the_centre_and_normalises(tmp_path: Path, pictures: list[np.ndarray], layout: str) -> None:
    write(tmp_path / layout, pictures)
    ((batch, labels),) = imagenet(tmp_path).batches("evaluation", 10)
    assert batch.dtype == np.float32 and labels.tolist() == [5, 6, 7]
    crops = [pictures[0][2:30, 2:30], pictures[1][2:30, 11:39], pictures[2][6:34, 2:30]]
    expected = (np.stack(crops) - MEAN) / STD
    np.testing.assert_allclose(batch, expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_resizes_the_shorter_side(tmp_path: Path) -> None:
    # left half black, right half white: the edge stays in the middle at any size
    picture = np.zeros((100, 160, 3), np.uint8)
    picture[:, 80:] = 255
    write(tmp_path, [picture])
    dataset = imagenet(tmp_path, 28, Preprocess(mean=(0.0,), std=(1.0,)))
    ((batch, _),) = dataset.batches("evaluation", 1)
    assert batch.shape == (1, 3, 28, 28)
    assert (batch[..., :13] == 0).all() and (batch[..., 15:] == 255).all()
    record = dataset.preprocess_info()
    assert record is not None and record["resize"] == 32 and record["crop"] == 0.875


def test_preprocessing_of_the_model_replaces_the_datasets_own(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    write(tmp_path, pictures)
    (tmp_path / "synset.txt").write_text("n01440764 tench\nn01443537 goldfish, carp\n")
    own = Preprocess(mean=(128.0,) * 3, std=(128.0,) * 3, label_offset=1, crop=1.0)
    dataset = imagenet(tmp_path, 32, own)
    ((batch, labels),) = dataset.batches("calibration", 1, count=1)
    assert np.array_equal(batch[0], (pictures[0].transpose(2, 0, 1).astype(np.float32) - 128) / 128)
    assert labels.tolist() == [6]
    assert dataset.labels == ["background", "tench", "goldfish, carp"]


def test_pictures_for_calibration_and_evaluation_are_the_same_ones(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    write(tmp_path, pictures)
    dataset = imagenet(tmp_path)
    assert dataset.shared_calibration
    assert dataset.size("calibration") == dataset.size("evaluation") == 3
    with pytest.raises(MRTError, match="no training pictures"):
        dataset.size("train")


def test_names_what_is_missing_and_its_place(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    with pytest.raises(MRTError, match=rf"val\.rec not found; put it in {tmp_path / 'imagenet/rec'}"):
        imagenet(tmp_path)
    write(tmp_path, pictures)
    (tmp_path / "val.idx").unlink()
    with pytest.raises(MRTError, match=r"val\.idx not found; make it with"):
        imagenet(tmp_path)


def test_refuses_a_truncated_file(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    write(tmp_path, pictures)
    whole = (tmp_path / "val.rec").read_bytes()
    (tmp_path / "val.rec").write_bytes(whole[:1000])
    with pytest.raises(MRTError, match="truncated"):
        imagenet(tmp_path)
    (tmp_path / "val.rec").write_bytes(whole[:-100])
    with pytest.raises(MRTError, match=r"record 2 of .* cannot be read"):
        list(imagenet(tmp_path).batches("evaluation", 3))


@pytest.mark.parametrize("index", ["", "not an index\n", "0\n"])
def test_refuses_a_broken_index(tmp_path: Path, pictures: list[np.ndarray], index: str) -> None:
    write(tmp_path, pictures)
    (tmp_path / "val.idx").write_text(index)
    with pytest.raises(MRTError, match=r"val\.idx is (empty|not an index)"):
        imagenet(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"no picture", "cannot be read"), (b"", "has no picture, as a header has none; leave it out of val.idx")],
)
def test_refuses_a_record_that_is_no_picture(tmp_path: Path, content: bytes, problem: str) -> None:
    write_records(tmp_path, [(1.0, content)])
    with pytest.raises(MRTError, match=rf"record 0 of .* {problem}"):
        list(imagenet(tmp_path).batches("evaluation", 1))


def test_the_header_of_insightfaces_files_is_no_picture(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    found = [(float(i), png(picture)) for i, picture in enumerate(pictures, 1)]
    write_records(tmp_path, [([4.0, 5.0], b""), *found, ([1.0, 4.0], b"")])  # the last: which pictures one person has
    ((_, labels),) = imagenet(tmp_path).batches("evaluation", 10)
    assert labels.tolist() == [1, 2, 3]


@pytest.mark.parametrize("label", [float("nan"), 0.5])
def test_refuses_labels_that_are_no_class_numbers(tmp_path: Path, label: float) -> None:
    write_records(tmp_path, [(label, png(np.zeros((32, 32, 3), np.uint8)))])
    with pytest.raises(MRTError, match=rf"record 0 of .* has the label {label}, no class number"):
        list(imagenet(tmp_path).batches("evaluation", 1))


@pytest.mark.parametrize("crop", [0.0, 1.5])
def test_refuses_crops_larger_than_the_picture(tmp_path: Path, crop: float) -> None:
    with pytest.raises(MRTError, match=r"crop .* must lie in \(0, 1\]"):
        imagenet(tmp_path, 28, Preprocess(crop=crop))


@pytest.mark.parametrize("shape", [(-1, 1, 224, 224), (-1, 3, 0, 0), (-1, 224, 224), (-1, 3, -1, -1)])
def test_refuses_other_input_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(MRTError, match="must be -1,3,height,width"):
        datasets.get("imagenet")(tmp_path, shape)


def test_the_real_pictures_agree_with_gluons_own_transforms(shared: Path) -> None:
    folder = shared / "data" / "imagenet"
    dataset = imagenet(folder, 224)
    assert dataset.size("evaluation") == 1000
    assert dataset.labels is not None and len(dataset.labels) == 1000 and dataset.labels[0] == "tench"
    vision = mx.gluon.data.vision
    transform = vision.transforms.Compose(
        [
            vision.transforms.Resize(256, keep_ratio=True),
            vision.transforms.CenterCrop(224),
            vision.transforms.ToTensor(),
            vision.transforms.Normalize((MEAN / 255).tolist(), (STD / 255).tolist()),
        ]
    )
    reference = vision.ImageRecordDataset(str(folder / "val.rec"))
    ((batch, labels),) = dataset.batches("evaluation", 6, start=200, count=6)
    assert batch.shape == (6, 3, 224, 224)
    for i in range(6):
        picture, label = reference[200 + i]
        assert labels[i] == label
        np.testing.assert_allclose(batch[i], transform(picture).asnumpy(), atol=1e-5)


def test_the_real_labels_are_each_class_once(shared: Path) -> None:
    dataset = imagenet(shared / "data" / "imagenet", 32)
    labels = np.concatenate([labels for _, labels in dataset.batches("evaluation", 100)])
    assert sorted(labels) == list(range(1000))
