"""A picture becomes the same input in `cvm` as in the dataset that a model was calibrated on: float for float."""

from __future__ import annotations

import itertools
import os
import tarfile
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from cvm import CVMError
from cvm.picture import Preprocess as Recipe
from cvm.resize import BILINEAR, BY_SIZE, resize
from gluoncv.data.transforms.image import imresize
from PIL import Image

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.datasets.detection import BY_SIZE as GLUONCV_BY_SIZE
from mrt.datasets.imagenet import LAYOUTS
from mrt.datasets.voc_digits import VOCDigits


def recipe(dataset: Dataset) -> Recipe:
    info = dataset.preprocess_info()
    assert info is not None
    found = Recipe.parse(info)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def real(shared: Path) -> Path:
    return Path(os.environ.get("MRT_DATA") or shared / "data")


def encoded(folder: Path, count: int) -> list[bytes]:
    """The first files of an ImageNet RecordIO."""
    place = next(folder / layout for layout in (*LAYOUTS, "imagenet") if (folder / layout / "val.rec").is_file())
    records = mx.recordio.MXIndexedRecordIO(str(place / "val.idx"), str(place / "val.rec"), "r")
    return [mx.recordio.unpack(records.read_idx(key))[1] for key in records.keys[:count]]


@pytest.mark.parametrize(
    ("size", "preprocess"), [(224, None), (299, Preprocess(crop=0.875, scale=2.0)), (96, Preprocess(crop=1.0))]
)
def test_imagenet_pictures(real: Path, tmp_path: Path, size: int, preprocess: Preprocess | None) -> None:
    root = real if (real / "imagenet" / "rec").is_dir() else real / "imagenet"
    dataset = datasets.get("imagenet")(root, (-1, 3, size, size), preprocess)
    ((expected, _),) = dataset.batches("evaluation", 24, 0, 24)
    made = recipe(dataset)
    for number, (content, wanted) in enumerate(zip(encoded(real, 24), expected)):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        picture = Image.open(path)
        for given in (path, str(path), picture, np.asarray(picture.convert("RGB"))):
            np.testing.assert_array_equal(made(given, size, size), wanted[None])


def cifar(shared: Path, folder: Path) -> Path:
    """Some real pictures of the archive, in CIFAR-10's binary layout."""
    with tarfile.open(shared / "data" / "cifar10.tar.xz") as archive:
        files = itertools.islice((archive.extractfile(member) for member in archive if member.isfile()), 20)
        pictures = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files if file is not None]
    (folder / "cifar-10-batches-bin").mkdir()
    records = b"".join(b"\0" + picture.tobytes() for picture in pictures)
    (folder / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(records)
    return folder


@pytest.mark.parametrize(("name", "shape"), [("digits", (1, 8, 8)), ("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_pictures_that_are_used_whole(shared: Path, tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    root = cifar(shared, tmp_path) if name == "cifar10" else shared / "data"
    dataset = datasets.get(name)(root, (-1, *shape))
    pixels, _ = dataset.read("evaluation", np.arange(20))
    made = recipe(dataset)
    for picture, wanted in zip(pixels, dataset.normalise(pixels)):
        array = picture.transpose(1, 2, 0)
        whole = np.ascontiguousarray(array if shape[0] == 3 else array[:, :, 0])
        path = tmp_path / "picture.png"
        Image.fromarray(whole).save(path)
        for given in (array, whole, path, Image.open(path)):
            np.testing.assert_array_equal(made(given, *shape[1:]), wanted[None])
    with pytest.raises(CVMError, match="which does not give"):
        made(np.zeros((9, 9, shape[0]), np.uint8), *shape[1:])


def test_pictures_for_detectors(tmp_path: Path) -> None:
    VOCDigits.compose(tmp_path / "voc_digits", {"trainval": 1, "test": 8})
    for height, width in ((64, 96), (128, 160), (200, 300)):
        dataset = datasets.get("voc_digits")(tmp_path, (-1, 3, height, width))
        ((expected, _),) = dataset.batches("evaluation", 8)
        made = recipe(dataset)
        year = tmp_path / "voc_digits" / "VOC2007"
        names = (year / "ImageSets" / "Main" / "test.txt").read_text().split()
        for name, wanted in zip(names, expected):
            np.testing.assert_array_equal(made(year / "JPEGImages" / f"{name}.jpg", height, width), wanted[None])


def test_resizing_is_opencvs_pixel_for_pixel() -> None:
    """To sizes of every kind: both sides smaller, both larger, one of each, halved, whole parts, one pixel."""
    rng = np.random.default_rng(0)
    kinds = set()
    for turn in range(240):
        height, width = (int(side) for side in rng.integers(1, 120, 2))
        down, across = (int(side) for side in rng.integers(1, 160, 2))
        if turn % 6 == 0:
            times = rng.integers(1, 5, 2)
            height, width = down * int(times[0]), across * int(times[1])
        picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        kinds.add((np.sign(down - height), np.sign(across - width)))
        given = mx.nd.array(picture, dtype="uint8")
        linear = mx.image.imresize(given, across, down, interp=1).asnumpy()
        by_size = imresize(given, across, down, interp=GLUONCV_BY_SIZE).asnumpy()
        message = f"{height} x {width} to {down} x {across}"
        np.testing.assert_array_equal(resize(picture, down, across, BILINEAR), linear, message)
        np.testing.assert_array_equal(resize(picture, down, across, BY_SIZE), by_size, message)
    assert len(kinds) >= 7


def test_exif_data_turns_a_picture_no_more_than_in_the_dataset(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 40, 3)).astype(np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.jpg"
        picture.save(path, exif=exif)
        expected = mx.image.imdecode(path.read_bytes()).asnumpy().transpose(2, 0, 1)
        plain = Recipe((0.0,) * 3, (1.0,) * 3, 1.0, "RGB")
        np.testing.assert_array_equal(plain(path, *expected.shape[1:])[0], expected)
