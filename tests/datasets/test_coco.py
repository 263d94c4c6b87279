from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mrt import datasets
from mrt.datasets import Dataset
from mrt.datasets.detection_metric import CocoAP
from mrt.errors import MRTError

pytest.importorskip("pycocotools", reason="pycocotools is not installed (the extra coco)")
SHAPE = (-1, 3, 100, 50)
# two categories whose numbers are not those of the classes, pictures out of order
TRUTH: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "000007.jpg", "width": 100, "height": 200},
        {"id": 3, "file_name": "000003.jpg", "width": 50, "height": 100},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 18, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 18, "bbox": [60, 60, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 3, "image_id": 3, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    (tmp_path / "coco" / "val2017").mkdir()
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(TRUTH))
    for entry in TRUTH["images"]:
        pixels = np.full((entry["height"], entry["width"], 3), entry["id"] * 10, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "coco" / "val2017" / entry["file_name"])
    return tmp_path


def coco(root: Path) -> Dataset:
    return datasets.get("coco")(root, SHAPE)


def score(data: Dataset, found: list[list[list[float]]]) -> dict[str, float]:
    """Of rows (class, score, x, y, width, height in the original picture), for pictures 3 and 7."""
    _, labels = data.read("evaluation", np.arange(2))
    outputs = np.full((2, 9, 6), -1.0)
    for i, (rows, (_, width, height)) in enumerate(zip(found, labels)):
        for row, (number, certainty, x, y, w, h) in zip(outputs[i], rows):
            across, down = SHAPE[3] / width, SHAPE[2] / height
            row[:] = [number, certainty, x * across, y * down, (x + w - 1) * across, (y + h - 1) * down]
    metric = data.metric()
    metric.update(labels, metric.select([outputs[..., :1], outputs[..., 1:2], outputs[..., 2:]]))
    return metric.values()


PERSON, DOG = 0, 1
ALL = [[[PERSON, 0.9, 10, 10, 20, 20]], [[DOG, 0.9, 0, 0, 20, 20], [DOG, 0.7, 60, 60, 20, 20]]]


def test_reads_pictures_in_the_order_of_their_numbers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = coco(root)
    assert (data.size("calibration"), data.size("evaluation"), data.labels) == (2, 2, ["person", "dog"])
    ((pictures, labels),) = data.batches("evaluation", 4)
    assert labels.tolist() == [[3, 50, 100], [7, 100, 200]]
    np.testing.assert_allclose(pictures[0, 0], (30 / 255 - 0.485) / 0.229, atol=0.05)
    np.testing.assert_allclose(pictures[1, 0], (70 / 255 - 0.485) / 0.229, atol=0.05)
    assert capsys.readouterr().out == ""


def test_average_precision_of_hand_made_cases(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = coco(root)
    assert score(data, ALL) == pytest.approx({"mAP": 1, "mAP50": 1})
    # a false box between two of the dog's: precision 1 at 51 of 101 recalls, 2/3 at the others
    false = [ALL[0], [ALL[1][0], [DOG, 0.8, 30, 100, 20, 20], ALL[1][1]]]
    expected = (1 + (51 + 50 * 2 / 3) / 101) / 2
    assert score(data, false) == pytest.approx({"mAP": expected, "mAP50": expected})
    # overlapping by 0.8 counts at 7 of the 10 overlaps
    shifted = [[[PERSON, 0.9, 10, 10, 20, 16]], ALL[1]]
    assert score(data, shifted) == pytest.approx({"mAP": (1 + 0.7) / 2, "mAP50": 1})
    assert score(data, [[], []]) == {"mAP": 0, "mAP50": 0}
    assert capsys.readouterr().out == ""


def test_intervals_come_from_whole_pictures(root: Path) -> None:
    """Pictures that are drawn once each give what pycocotools gives of these alone."""
    random, count = np.random.default_rng(0), 12
    truth = {**TRUTH, "images": [{"id": n, "file_name": "", "width": 50, "height": 100} for n in range(1, count + 1)]}
    kinds = [(picture, category) for picture in range(1, count + 1) for category in (1, 18, 18)]
    boxes = [(*kind, *random.integers([0, 0, 10, 10], [25, 60, 25, 35]).tolist()) for kind in kinds]
    truth["annotations"] = [
        {"id": i, "image_id": n, "category_id": c, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, (n, c, *box) in enumerate(boxes, 1)
    ]
    (root / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(truth))
    rows = np.full((count, 4, 6), -1.0)
    for i, (n, c, x, y, w, h) in enumerate(boxes):
        moved = np.array([x, y, x + w - 1, y + h - 1]) + random.integers(-1, 2, 4)
        rows[n - 1, i % 3] = [DOG if c == 18 else PERSON, random.uniform(), *moved]
    rows[:, 3] = [DOG, 0.5, 0, 0, 20, 20]
    order = random.permutation(count)
    labels = np.array([[n + 1, 50, 100] for n in order])
    whole = coco(root).metric()
    assert isinstance(whole, CocoAP)
    whole.update(labels, rows[order])
    drawn = np.stack([np.ones(count, int), np.arange(count) < 5])
    of_all, of_five = np.array(list(whole.drawn(drawn).values())).T
    some = coco(root).metric()
    some.update(labels[:5], rows[order[:5]])
    assert dict(zip(("mAP", "mAP50"), of_all)) == pytest.approx(whole.values())
    assert dict(zip(("mAP", "mAP50"), of_five)) == pytest.approx(some.values())
    low, high = whole.intervals()["mAP"]
    assert 0 < low < whole.values()["mAP"] < high < 1
    assert whole.losses(whole) == {"mAP": (0.0, 0.0), "mAP50": (0.0, 0.0)}


def test_only_the_pictures_that_were_seen_count(root: Path) -> None:
    data = coco(root)
    _, labels = data.read("evaluation", np.arange(1))
    metric = data.metric()
    metric.update(labels, np.array([[[PERSON, 0.9, 10, 10, 29, 29]]]))
    assert metric.values() == pytest.approx({"mAP": 1, "mAP50": 1})


def test_refuses_classes_that_are_not_there(root: Path) -> None:
    with pytest.raises(MRTError, match="class 2 of 2 classes"):
        score(coco(root), [[[2, 0.9, 10, 10, 20, 20]], []])


def test_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match=r"instances_val2017\.json not found; put it in .*coco.annotations"):
        coco(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"images": 3}'])
def test_refuses_damaged_annotations(root: Path, text: str) -> None:
    (root / "coco" / "annotations" / "instances_val2017.json").write_text(text)
    with pytest.raises(MRTError, match="is not a COCO annotation file"):
        coco(root)


def test_says_how_to_get_pycocotools(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pycocotools"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MRTError, match="needs pycocotools; install it"):
        coco(root)
