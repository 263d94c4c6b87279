"""Evaluation: what is compared with what, on how many pictures, and what a report says where nothing can judge."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mrt.advice import Advice
from mrt.datasets import Dataset, Preprocess
from mrt.datasets.digits import Digits
from mrt.datasets.metric import TopK
from mrt.errors import MRTError
from mrt.graph.batch import Samples
from mrt.report import BitExact, Report
from mrt.run.evaluate import compare, evaluate
from mrt.run.judge import find_judge
from mrt.run.speed import ahead, latency_ms

RNG = np.random.default_rng(0)
DATA, LABELS = RNG.integers(-99, 99, (50, 6)).astype(np.float32), RNG.integers(0, 6, 50)
SAMPLES = Samples({"data": (-1, 6)})


def batches(size: int = 8) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return ((DATA[i : i + size], LABELS[i : i + size]) for i in range(0, len(DATA), size))


def evaluated(runs: dict[str, Any], twin_num: int | None, **replaced: Any) -> Report:
    report = Report(model="net")
    arguments: dict[str, Any] = {
        "metric": lambda: TopK((1,)),
        "batches": batches(),
        "samples": SAMPLES,
        "float_run": lambda x: [x * 0.5],
        "integer_runs": runs,
        "quantized": lambda x: x.astype(np.int32),
        "finish": lambda outputs: [outputs[0] * 0.5],
        "report": report,
        "advance": lambda count: None,
        "twin_num": twin_num,
        **replaced,
    }
    evaluate(**arguments)
    return report


class Counted:
    """An exact executor that counts its samples, and errs on one of them."""

    def __init__(self, wrong: int | None = None) -> None:
        self.seen = 0
        self.wrong = wrong

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        result = x.copy()
        if self.wrong is not None and self.seen <= self.wrong < self.seen + len(x):
            result[self.wrong - self.seen, 0] += 1
        self.seen += len(x)
        return [result]


@pytest.mark.parametrize(("twin_num", "checked"), [(None, 50), (20, 20), (0, 0), (16, 16), (1000, 50)])
def test_the_twin_runs_on_the_first_pictures_only(twin_num: int | None, checked: int) -> None:
    twin = Counted()
    report = evaluated({"cvm": Counted(), "quantized": twin}, twin_num)
    assert twin.seen == checked and report.samples == 50 and report.iterations == 7
    assert report.bit_exact == (BitExact(samples=checked, mismatches=0) if checked else None)
    score = float((DATA.argmax(axis=1) == LABELS).mean())
    assert report.accuracy == {name: {"top1": score} for name in ("float", "quantized", "cvm")}
    assert report.agreement == 1.0 and report.sqnr_db is None


@pytest.mark.parametrize(("wrong", "mismatches"), [(19, 1), (20, 0)])
def test_one_wrong_integer_among_the_checked_is_found(
    wrong: int, mismatches: int, caplog: pytest.LogCaptureFixture
) -> None:
    report = evaluated({"cvm": Counted(), "quantized": Counted(wrong)}, 20)
    assert report.bit_exact == BitExact(samples=20, mismatches=mismatches)
    assert ("quantized" in report.accuracy) == (not mismatches), "it stands for the twin only where they are equal"
    assert bool([r for r in caplog.records if r.levelno == logging.ERROR]) == bool(mismatches)


def test_samples_are_counted_on_their_own_axis() -> None:
    rows = RNG.integers(0, 9, (5, 12))
    report = evaluated(
        {"cvm": lambda x: [x.reshape(-1, 1)], "quantized": lambda x: [x.reshape(-1, 1)]},
        None,
        metric=None,
        batches=iter([(rows.astype(np.float32), np.zeros(12))]),
        samples=Samples({"data": (5, -1)}),
        float_run=lambda x: [x.reshape(-1, 1)],
        finish=lambda outputs: outputs,
    )
    assert report.samples == 12 and report.bit_exact == BitExact(samples=12, mismatches=0)
    assert report.agreement is None and report.accuracy == {}


def test_segmentation_agrees_pixel_by_pixel() -> None:
    scores = RNG.normal(size=(4, 3, 5, 5))
    others = scores.copy()
    others[0, :, 0, 0] = others[0, ::-1, 0, 0]  # puts another class first, unless it is the middle one
    report = evaluated(
        {"cvm": lambda x: [others]},
        None,
        metric=None,
        batches=iter([(DATA[:4], LABELS[:4])]),
        float_run=lambda x: [scores],
        finish=lambda outputs: outputs,
    )
    same = (scores.argmax(axis=1) == others.argmax(axis=1)).mean()
    assert same < 1 and report.agreement == same and report.agreement_per_pixel
    assert f"{same:.2%} of the pixels" in report.markdown()


def test_a_label_that_does_not_fit_leaves_out_accuracy_not_the_rest() -> None:
    labels = LABELS.copy()
    labels[40] = 6
    report = evaluated(
        {"cvm": Counted()}, None, batches=((DATA[i : i + 8], labels[i : i + 8]) for i in range(0, 50, 8))
    )
    assert report.accuracy == {} and report.samples == 50 and report.agreement == 1.0
    assert report.no_accuracy is not None and "labels from" in report.no_accuracy


def test_outputs_that_are_not_finite_are_named() -> None:
    def run(x: np.ndarray) -> list[np.ndarray]:
        return [np.where(x == DATA[20], np.nan, x)]

    with pytest.raises(MRTError, match="for pictures 16 to 23 are not finite"):
        evaluated({"cvm": Counted()}, None, float_run=run)


def test_outputs_that_are_all_but_zero_are_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    evaluated({"cvm": Counted()}, None, float_run=lambda x: [x * 1e-22])
    assert "all but zero" in caplog.text


def test_nothing_to_evaluate_is_one_line() -> None:
    with pytest.raises(MRTError, match="no pictures"):
        evaluated({"cvm": Counted()}, None, batches=iter([]))


def test_an_output_without_a_sample_axis_differs_for_all_samples_or_for_none() -> None:
    one = np.arange(6).reshape(6, 1)
    assert compare([one], [one], 3).mismatches == 0
    assert compare([one], [one + (one == 2)], 3).mismatches == 3
    assert compare([one], [one + (one == 2)], 6).mismatches == 1


def test_items_made_ahead_are_the_same_in_order_and_made_in_another_thread() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            made.append(threading.get_ident())
            yield item

    assert list(ahead(items())) == list(range(20))
    assert threading.get_ident() not in made


def test_items_are_made_beside_the_callers_work_but_not_far_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    stream = ahead(items(), count=2)
    assert next(stream) == 0
    deadline = time.monotonic() + 10
    while len(made) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(made) == 3
    stream.close()  # type: ignore[attr-defined]
    assert len(made) == 3, "no more of them once nobody asks"


def test_an_error_in_the_items_reaches_the_caller_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise MRTError("a bad file")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(MRTError, match="a bad file"):
        next(stream)


def test_latency_is_the_median_of_several_runs_after_one_that_does_not_count() -> None:
    runs: list[float] = []

    def run() -> None:
        runs.append(0.05 if len(runs) in (0, 3) else 0.001)
        time.sleep(runs[-1])

    assert 1 <= latency_ms(run) < 40
    assert len(runs) == 10


def digits(offset: int = 0) -> Dataset:
    return Digits(None, (-1, 1, 8, 8), Preprocess(label_offset=offset))


def perfect(dataset: Dataset) -> Any:
    """A network that knows every digit of the evaluation split."""
    pixels, labels = digits().read("evaluation", np.arange(500))
    known = {digits().normalise(pixels)[i].tobytes(): int(label) for i, label in enumerate(labels)}
    return lambda x: [np.eye(10)[[known[picture.tobytes()] for picture in x]]]


def test_a_network_that_knows_its_digits_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert find_judge("auto", digits(), 0, 500, 16, perfect(digits())).metric is not None
    assert not caplog.records


def test_a_wrong_label_offset_is_warned_of_with_the_right_one(caplog: pytest.LogCaptureFixture) -> None:
    network = perfect(digits())
    padded = lambda x: [np.pad(network(x)[0], ((0, 0), (0, 1)))]  # noqa: E731
    find_judge("auto", digits(1), 0, 500, 16, padded)
    assert "right on 0 of the first 32 pictures" in caplog.text
    assert "(with -1 on the labels: 32)" in caplog.text
    (record,) = caplog.records
    assert Advice().filter(record) and "check [DATASET] Label_offset" in record.getMessage()


def test_a_network_that_guesses_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    guesses = np.random.default_rng(1)
    find_judge("auto", digits(), 0, 500, 16, lambda x: [guesses.random((len(x), 10))])
    assert "no more than by guessing" in caplog.text and "with " not in caplog.text


@pytest.mark.parametrize("outputs", [(5,), (1,), (10, 3), (512, 1, 1)])
def test_outputs_that_are_no_scores_have_no_judge_unless_one_is_named(outputs: tuple[int, ...]) -> None:
    run = lambda x: [np.zeros((len(x), *outputs))]  # noqa: E731
    judge = find_judge("auto", digits(), 0, 500, 16, run)
    assert judge.metric is None and judge.reason is not None
    with pytest.raises(MRTError, match=r"^metric top-1: (outputs of shape|labels from)"):
        find_judge("top-1", digits(), 0, 500, 16, run)
    assert find_judge("none", digits(), 0, 500, 16, run).reason is None


def test_mean_average_precision_needs_boxes() -> None:
    with pytest.raises(MRTError, match="has no boxes"):
        find_judge("mAP", digits(), 0, 500, 16, perfect(digits()))


def test_a_metric_of_its_own_k(caplog: pytest.LogCaptureFixture) -> None:
    judge = find_judge("top-5", digits(), 0, 500, 16, perfect(digits()))
    assert judge.metric is not None
    metric = judge.metric()
    metric.update(np.array([3]), np.arange(10.0)[None])
    assert metric.values() == {"top5": 0.0}
