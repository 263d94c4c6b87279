from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from mrt.datasets.metric import TopK
from mrt.errors import MRTError


def scores(labels: list[int] | np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    metric = TopK((1, 5))
    metric.update(np.array(labels), outputs)
    return metric.values()


def test_agrees_with_scikit_learn_over_several_batches() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(500, 20)).astype(np.float32)
    labels = rng.integers(0, 20, size=500)
    metric = TopK((1, 5))
    for start in range(0, 500, 130):
        metric.update(labels[start : start + 130], outputs[start : start + 130])
    expected = {f"top{k}": top_k_accuracy_score(labels, outputs, k=k, labels=range(20)) for k in (1, 5)}
    assert metric.values() == pytest.approx(expected)
    assert next(iter(metric.values())) == "top1"


def test_ties_of_integers_go_to_the_lower_class_as_with_argmax() -> None:
    rng = np.random.default_rng(1)
    outputs = rng.integers(-2, 3, size=(300, 10)).astype(np.int32)
    for label in range(10):
        expected = (outputs.argmax(axis=1) == label).mean()
        assert scores([label] * 300, outputs)["top1"] == expected


def test_large_integers_are_told_apart() -> None:
    outputs = np.array([[2**30, 2**30 + 1, 0]], np.int32)
    assert scores([0], outputs)["top1"] == 0.0
    assert scores([1], outputs)["top1"] == 1.0


def test_nan_is_never_a_hit() -> None:
    assert scores([0], np.full((1, 10), np.nan)) == {"top1": 0.0, "top5": 0.0}


def test_a_k_of_all_classes_says_nothing() -> None:
    assert scores([1], np.array([[3.0, 1.0]])) == {"top1": 0.0}
    metric = TopK((5,))
    metric.update(np.array([1]), np.array([[3.0, 1.0]]))
    assert metric.values() == {"top5": 1.0}, "but who asks for it gets it"


def test_segmentation_is_judged_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(3, 7, 5, 4)), rng.integers(0, 7, (3, 5, 4))
    assert scores(labels, outputs)["top1"] == (outputs.argmax(axis=1) == labels).mean()


def test_refuses_labels_that_the_network_has_no_class_for() -> None:
    with pytest.raises(MRTError, match="labels from 1000 to 1000, but 1000 outputs"):
        scores([1000], np.zeros((1, 1000)))


def test_refuses_outputs_that_are_not_scores_of_each_picture() -> None:
    with pytest.raises(MRTError, match="no class scores"):
        scores([1, 2], np.zeros((2, 10, 1, 1)))


def test_refuses_to_score_nothing() -> None:
    with pytest.raises(MRTError, match="no pictures"):
        TopK((1,)).values()
