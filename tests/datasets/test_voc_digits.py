"""The detection dataset that is composed: a real VOC tree, the same every time."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mrt import datasets
from mrt.datasets.voc_digits import VOCDigits
from mrt.errors import MRTError

SIZES = {"trainval": 5, "test": 3}
SHAPE = (-1, 3, 64, 64)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root") / "voc_digits"
    VOCDigits.compose(folder, SIZES)
    return folder


def test_a_picture_depends_on_its_number_only(composed: Path, tmp_path: Path) -> None:
    VOCDigits.compose(tmp_path / "again", SIZES)
    assert tree(tmp_path / "again") == tree(composed)
    VOCDigits.compose(tmp_path / "fewer", {"trainval": 2, "test": 1})
    pictures = {name: data for name, data in tree(tmp_path / "fewer").items() if not name.endswith(".txt")}
    assert len(pictures) == 6
    assert pictures.items() <= tree(composed).items()
    assert len(set(pictures.values())) == 6


def test_boxes_hold_the_digits_and_nothing_of_each_other(composed: Path) -> None:
    names = set()
    for path in sorted((composed / "VOC2007" / "Annotations").iterdir()):
        root = ElementTree.parse(path).getroot()
        pixels = np.asarray(Image.open(composed / "VOC2007" / "JPEGImages" / f"{path.stem}.jpg")).astype(float)
        assert [int(root.findtext(f"size/{side}", "")) for side in ("height", "width", "depth")] == list(pixels.shape)
        taken = np.zeros(pixels.shape[:2], int)
        for item in root.iter("object"):
            names.add(item.findtext("name"))
            left, top, right, bottom = (int(item.findtext(f"bndbox/{c}", "")) for c in ("xmin", "ymin", "xmax", "ymax"))
            taken[top - 1 : bottom, left - 1 : right] += 1
        background = pixels[taken == 0]
        assert 0 < taken.mean() < 0.8 and taken.max() == 1
        # every box has ink in it that stands out against the picture
        for item in root.iter("object"):
            left, top, right, bottom = (int(item.findtext(f"bndbox/{c}", "")) for c in ("xmin", "ymin", "xmax", "ymax"))
            inside = pixels[top - 1 : bottom, left - 1 : right].mean(axis=2)
            assert np.abs(inside - background.mean()).max() > 50
    assert names <= set("0123456789") and len(names) > 4


def test_the_dataset_composes_its_tree_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VOCDigits, "sizes", SIZES)
    data = datasets.get("voc_digits")(tmp_path, SHAPE)
    assert [data.size(split) for split in ("calibration", "evaluation", "train")] == [5, 3, 5]
    assert data.labels == list("0123456789")
    ((pictures, labels),) = data.batches("evaluation", 3)
    assert pictures.shape == (3, *SHAPE[1:])
    assert labels.shape[2] == 6 and (labels[:, 0, 4] >= 0).all() and labels[:, :, :4].max() <= 64
    before = tree(tmp_path)
    monkeypatch.setattr(VOCDigits, "sizes", {"trainval": 1, "test": 1})
    assert datasets.get("voc_digits")(tmp_path, SHAPE).size("train") == 5
    assert tree(tmp_path) == before


def test_a_tree_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MRTError, match=r"cannot be written"):
        datasets.get("voc_digits")(tmp_path / "file", SHAPE)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(MRTError, match="No space left on device"):
        datasets.get("voc_digits")(tmp_path, SHAPE)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_colours_are_augmented_within_bounds(composed: Path) -> None:
    data = datasets.get("voc_digits")(composed.parent, SHAPE)
    pixels, _ = data.read("train", np.arange(5))
    changed = data.augment(pixels, np.random.default_rng(0))
    assert changed.shape == pixels.shape and changed.min() >= 0 and changed.max() <= 255
    assert np.array_equal(changed, data.augment(pixels, np.random.default_rng(0)))
    for before, after in zip(pixels.astype(float), changed):
        grey = [array.mean(axis=0).ravel() for array in (before, after)]
        assert not np.array_equal(before, after)
        assert np.corrcoef(grey)[0, 1] > 0.95  # everything is where it was
