from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.datasets.detection_metric import VOC07
from mrt.errors import MRTError

Box = tuple[str, int, int, int, int, int]
SHAPE = (-1, 3, 40, 30)


def annotation(boxes: Sequence[Box]) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d, difficult in boxes
    )
    return f"<annotation>{objects}</annotation>"


def add(year: Path, name: str, split: str, boxes: Sequence[Box] = (), size: tuple[int, int] = (60, 20)) -> None:
    """Adds a picture whose left half is red."""
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (year / part).mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2, 0] = 255
    Image.fromarray(pixels).save(year / "JPEGImages" / f"{name}.jpg", quality=100)
    (year / "Annotations" / f"{name}.xml").write_text(annotation(boxes))
    with (year / "ImageSets" / "Main" / f"{split}.txt").open("a") as file:
        file.write(name + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    year = tmp_path / "voc" / "VOC2007"
    add(year, "000001", "test", [("cat", 1, 1, 31, 11, 0), ("person", 11, 6, 60, 20, 1)])
    add(year, "000002", "test")
    add(year, "000003", "test", [("dog", 1, 1, 41, 21, 0)], size=(80, 60))
    add(year, "000004", "trainval")
    return tmp_path


def voc(root: Path, shape: tuple[int, ...] = SHAPE, preprocess: Preprocess | None = None) -> Dataset:
    return datasets.get("voc")(root, shape, preprocess)


@pytest.mark.parametrize("layout", ["voc", ""])
def test_pictures_and_boxes_are_resized_together(root: Path, layout: str) -> None:
    data = voc(root if layout else root / "voc")
    ((pictures, labels),) = data.batches("evaluation", 8)
    assert pictures.shape == (3, 3, 40, 30)
    red = (1 - 0.485) / 0.229
    np.testing.assert_allclose(pictures[0, 0, :, :12], red, atol=0.1)
    np.testing.assert_allclose(pictures[0, 0, :, 18:], -0.485 / 0.229, atol=0.1)
    assert data.labels is not None
    cat, dog, person = (data.labels.index(name) for name in ("cat", "dog", "person"))
    # corners on disk count from 1; 60x20 becomes 30x40
    expected: list[list[float]] = [[0, 0, 15, 20, cat, 0], [5, 10, 29.5, 38, person, 1]]
    np.testing.assert_allclose(labels[0], expected)
    assert (labels[1] == -1).all()
    np.testing.assert_allclose(labels[2, 0], [0, 0, 15, 40 / 3, dog, 0])
    assert (labels[2, 1] == -1).all()


def test_later_pictures_join_the_training_split_only(root: Path) -> None:
    add(root / "voc" / "VOC2012", "2008_000001", "trainval")
    data = voc(root)
    assert [data.size(split) for split in ("calibration", "evaluation", "train")] == [1, 3, 2]
    assert data.read("train", np.arange(2))[0].shape == (2, 3, 40, 30)


def test_other_classes_and_impossible_boxes_are_left_out(root: Path) -> None:
    boxes = [("unicorn", 1, 1, 9, 9, 0), ("cat", 9, 1, 9, 9, 0), ("cat", 1, 1, 99, 9, 0), ("cat", 0, 1, 9, 9, 0)]
    add(root / "voc" / "VOC2007", "000009", "test", boxes)
    _, labels = voc(root).read("evaluation", np.array([3]))
    assert (labels == -1).all()


def test_names_the_archives_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match=r"no VOC2007 in .*voc; unpack VOCtrainval_06-Nov-2007\.tar and VOCtest_06-Nov"):
        voc(tmp_path)
    add(tmp_path / "voc" / "VOC2007", "000001", "trainval")
    with pytest.raises(MRTError, match=r"test\.txt not found; unpack VOCtrainval.* again"):
        voc(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation><object>",
        "<annotation><object><name>cat</name></object></annotation>",
        "<annotation><object><name>cat</name><bndbox><xmin>x</xmin></bndbox></object></annotation>",
    ],
)
def test_names_the_annotation_that_is_damaged(root: Path, text: str) -> None:
    (root / "voc" / "VOC2007" / "Annotations" / "000002.xml").write_text(text)
    with pytest.raises(MRTError, match=r"000002\.xml is not a readable annotation"):
        voc(root).read("evaluation", np.arange(3))


def test_names_the_picture_that_is_missing_or_damaged(root: Path) -> None:
    picture = root / "voc" / "VOC2007" / "JPEGImages" / "000002.jpg"
    picture.write_bytes(b"no picture")
    with pytest.raises(MRTError, match=r"000002\.jpg is not a readable picture"):
        voc(root).read("evaluation", np.arange(3))
    picture.unlink()
    with pytest.raises(MRTError, match=r"000002\.jpg is missing"):
        voc(root).read("evaluation", np.arange(3))


def test_refuses_other_shapes_and_label_offsets(root: Path) -> None:
    with pytest.raises(MRTError, match="it must be -1,3,H,W"):
        voc(root, (-1, 1, 40, 30))
    with pytest.raises(MRTError, match="objects have no label offset"):
        voc(root, preprocess=Preprocess(label_offset=1))


# The metric ------------------------------------------------------------------------------------------------------
Rows = Sequence[Sequence[Sequence[float]]]

A, B, FAR = [0, 0, 9, 9], [20, 0, 29, 9], [40, 40, 49, 49]


def score(objects: Rows, found: Rows) -> float:
    """The mAP of rows (class, score, corners) for objects (corners, class, difficult), a list for each picture."""
    metric = VOC07(("one", "two"), (60, 60))
    for wanted, rows in zip(objects, found):
        real = np.array([[*rows, [-1.0] * 6]])
        metric.update(np.array([[*wanted, [-1.0] * 6]]), metric.select([real[..., :1], real[..., 1:2], real[..., 2:]]))
    value = metric.values()["mAP"]
    assert metric.drawn(np.ones((1, len(objects)), int))["mAP"] == pytest.approx([value]), "as GluonCV computes it"
    return value


def test_intervals_come_from_whole_pictures() -> None:
    metric, perfect = VOC07(("one",), (60, 60)), VOC07(("one",), (60, 60))
    for number in range(40):
        objects = np.array([[[*A, 0, 0]]])
        for judge, box in ((metric, FAR if number % 4 == 0 else A), (perfect, A)):
            judge.update(objects, np.array([[[0, 0.5 + number / 100, *box]]]))
    low, high = metric.intervals()["mAP"]
    assert low < metric.values()["mAP"] < high and 0.1 < high - low < 0.5
    assert perfect.intervals() == {"mAP": (1.0, 1.0)} and metric.losses(metric) == {"mAP": (0.0, 0.0)}
    assert metric.losses(perfect)["mAP"] == pytest.approx((1 - high, 1 - low))


def test_mean_average_precision_of_hand_made_cases() -> None:
    both = [[[*A, 0, 0], [*B, 0, 0]]]
    assert score(both, [[[0, 0.9, *A], [0, 0.8, *B]]]) == pytest.approx(1)
    # a false box between: precision 1 up to recall 1/2, then 2/3
    assert score(both, [[[0, 0.9, *A], [0, 0.8, *FAR], [0, 0.7, *B]]]) == pytest.approx((6 + 5 * 2 / 3) / 11)
    # a second box on the same object is false
    assert score(both, [[[0, 0.9, *A], [0, 0.8, *A], [0, 0.7, *B]]]) == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert score(both, [[[0, 0.9, *A]]]) == pytest.approx(6 / 11)
    assert score(both, [[]]) == 0
    assert score(both, [[[1, 0.9, *A], [1, 0.8, *B]]]) == 0


def test_boxes_must_overlap_by_half() -> None:
    objects = [[[*A, 0, 0]]]
    assert score(objects, [[[0, 0.9, 0, 0, 9, 4]]]) == pytest.approx(1)  # 50 of 100 pixels
    assert score(objects, [[[0, 0.9, 0, 0, 9, 3]]]) == 0


def test_difficult_objects_count_neither_way() -> None:
    objects = [[[*A, 0, 0], [*B, 0, 1]]]
    assert score(objects, [[[0, 0.9, *B], [0, 0.8, *A]]]) == pytest.approx(1)
    assert score(objects, [[[0, 0.8, *A]]]) == pytest.approx(1)


def test_boxes_are_ranked_over_all_pictures_and_classes_averaged() -> None:
    objects = [[[*A, 0, 0]], [[*B, 0, 0], [*A, 1, 0]]]
    found = [[[0, 0.7, *A]], [[0, 0.9, *FAR], [0, 0.8, *B], [1, 0.1, *A]]]
    one = (11 * 2 / 3) / 11  # precision 0, 1/2, 2/3: the best at any recall is 2/3
    assert score(objects, found) == pytest.approx((one + 1) / 2)


def test_boxes_are_cut_to_the_picture() -> None:
    assert score([[[0, 0, 60, 60, 0, 0]]], [[[0, 0.9, -90, -90, 150, 150]]]) == pytest.approx(1)


def test_metric_needs_objects_and_boxes() -> None:
    with pytest.raises(MRTError, match="none of the pictures shows an object"):
        score([[]], [[]])
    with pytest.raises(MRTError, match="a detector must give"):
        VOC07(("one",), (60, 60)).select([np.zeros((1, 10))])
