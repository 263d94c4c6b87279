"""Pictures in folders, made of real digits and of ImageNet's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.errors import MRTError

GREY = (-1, 1, 8, 8)


def digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Real digits, bytes (N, 8, 8) up to 240."""
    source = datasets.get("digits")(None, GREY)
    pixels, labels = source.read(split, np.arange(source.size(split)))
    return pixels[:, 0] * 15, labels


def write(folder: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    """A PNG for each, in its class's sub-folder."""
    for index, (picture, label) in enumerate(zip(pictures, labels)):
        (folder / f"c{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"c{label}" / f"{index}.png")


def whole(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    parts = list(dataset.batches(split, 64))
    return np.concatenate([data for data, _ in parts]), np.concatenate([labels for _, labels in parts])


def rows(pictures: np.ndarray, labels: np.ndarray) -> list[bytes]:
    return sorted(np.append(p.ravel(), label).astype(np.float32).tobytes() for p, label in zip(pictures, labels))


def folder(root: Path, shape: tuple[int, ...] = GREY, preprocess: Preprocess | None = None) -> Dataset:
    return datasets.load("folder", root, shape, preprocess)


def test_train_and_val_are_calibration_and_evaluation(tmp_path: Path) -> None:
    train, held_out = digits("train"), digits("evaluation")
    write(tmp_path / "train", *train)
    write(tmp_path / "val", *held_out)
    dataset = folder(tmp_path)
    assert not dataset.shared_calibration and dataset.labels == [f"c{digit}" for digit in range(10)]
    for split, (pictures, labels) in {"calibration": train, "train": train, "evaluation": held_out}.items():
        assert rows(*whole(dataset, split)) == rows(pictures.astype(np.float32) / 255, labels)
    assert (dataset.split_name("calibration"), dataset.split_name("evaluation")) == ("train", "val")


def test_without_train_and_val_the_split_shares_pictures_and_any_part_has_all_classes(tmp_path: Path) -> None:
    write(tmp_path, *digits("evaluation"))
    dataset = folder(tmp_path)
    assert dataset.shared_calibration and dataset.size("calibration") == dataset.size("evaluation") == 500
    pictures, labels = whole(dataset, "evaluation")
    assert set(labels[:100]) == set(range(10))
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    again, same = whole(folder(moved), "calibration")
    assert np.array_equal(pictures, again) and np.array_equal(labels, same)
    with pytest.raises(MRTError, match="no training pictures apart"):
        dataset.size("train")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.jpg")
    dataset = folder(tmp_path, (-1, 3, 8, 8))
    assert dataset.labels == ["bus", "train"] and dataset.size("evaluation") == 2


def test_colours_become_grey_and_grey_becomes_rgb(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    Image.fromarray(np.full((8, 8, 3), (255, 0, 0), np.uint8)).save(tmp_path / "c" / "1.png")
    ((grey, _),) = folder(tmp_path).batches("evaluation", 1)
    assert np.allclose(grey * 255, 76)  # ITU-R 601: 0.299 of red
    Image.fromarray(np.full((8, 8), 100, np.uint8)).save(tmp_path / "c" / "1.png")
    plain = Preprocess(mean=(0.0,), std=(1.0,), scale=1.0)
    ((rgb, _),) = folder(tmp_path, (-1, 3, 8, 8), plain).batches("evaluation", 1)
    assert rgb.shape == (1, 3, 8, 8) and (rgb == 100).all()


def test_pictures_of_the_inputs_size_are_taken_whole_and_others_cropped(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    write(tmp_path, picture[None], np.array([0]))
    ((data, _),) = folder(tmp_path).batches("evaluation", 1)
    assert np.array_equal(data[0, 0] * 255, picture.astype(np.float32))
    record = folder(tmp_path).preprocess_info()
    assert record is not None and record["resize"] is None and record["crop"] is None
    cropped = folder(tmp_path, GREY, Preprocess(crop=0.5))
    ((data, _),) = cropped.batches("evaluation", 1)
    assert not np.array_equal(data[0, 0] * 255, picture.astype(np.float32))
    record = cropped.preprocess_info()
    assert record is not None and record["resize"] == 16 and record["crop"] == 0.5


def test_turned_as_the_exif_data_says(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    (tmp_path / "c").mkdir()
    picture.save(tmp_path / "c" / "1.png", exif=exif)
    ((data, _),) = folder(tmp_path).batches("evaluation", 1)
    assert np.array_equal(data[0, 0] * 255, np.rot90(np.asarray(picture), -1).astype(np.float32))


def test_imagenets_jpegs_in_folders_are_what_the_record_file_gives(shared: Path, tmp_path: Path) -> None:
    import mxnet as mx

    source = datasets.get("imagenet")(shared / "data" / "imagenet", (-1, 3, 224, 224))
    ((expected, labels),) = source.batches("evaluation", 5, 0, 5)
    path = shared / "data" / "imagenet" / "val"
    records = mx.recordio.MXIndexedRecordIO(f"{path}.idx", f"{path}.rec", "r")
    for key, label in zip(records.keys[:5], labels):
        (tmp_path / f"{label:04}").mkdir()
        _, encoded = mx.recordio.unpack(records.read_idx(key))
        (tmp_path / f"{label:04}" / "1.jpeg").write_bytes(encoded)
    dataset = folder(tmp_path, (-1, 3, 224, 224))
    found, places = whole(dataset, "evaluation")
    ranks = {int(label): rank for rank, label in enumerate(sorted(labels))}
    for picture, label in zip(expected, labels):
        difference = np.abs(found[list(places).index(ranks[int(label)])] - picture)
        assert difference.max() <= 4 / 57 and difference.mean() < 0.01  # two JPEG decoders differ by a grey level or so
    mine, theirs = dataset.preprocess_info(), source.preprocess_info()
    assert mine is not None and theirs is not None
    assert [mine[key] for key in ("mean", "std", "scale", "resize")] == [
        theirs[key] for key in ("mean", "std", "scale", "resize")
    ]


def test_pictures_without_sub_folders_have_no_labels(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    dataset = folder(tmp_path)
    ((_, labels),) = dataset.batches("evaluation", 1)
    assert not dataset.labelled and dataset.labels is None and labels.tolist() == [-1]


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_bad_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    write(tmp_path, *(part[:1] for part in digits("train")))
    path = next(tmp_path.rglob("*.png"))
    path.write_bytes(path.read_bytes()[:45] if content is None else content)
    with pytest.raises(MRTError, match=str(path)):
        list(folder(tmp_path).batches("evaluation", 1))


def test_pictures_of_16_bits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / "c" / "1.png")
    with pytest.raises(MRTError, match="more than 8 bits"):
        list(folder(tmp_path).batches("evaluation", 1))


def test_refuses_folders_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match="it has no folder of its own"):
        datasets.load("folder", None, GREY)
    with pytest.raises(MRTError, match="there is no folder"):
        folder(tmp_path / "nowhere")
    with pytest.raises(MRTError, match="no PNG or JPEG"):
        folder(tmp_path)
    with pytest.raises(MRTError, match="must be -1,1,height,width"):
        folder(tmp_path, (-1, 4, 8, 8))
    write(tmp_path / "train", *(part[:30] for part in digits("train")))
    write(tmp_path / "val", digits("train")[0][:1], np.array([11]))
    with pytest.raises(MRTError, match="has the class c11, which the calibration data has not"):
        folder(tmp_path)
