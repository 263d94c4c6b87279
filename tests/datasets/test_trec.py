from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.datasets.trec import PADDING, UNKNOWN
from mrt.errors import MRTError

TRAIN = "0 What is a Cat ?\n5 When was a cat born ?\n3 Who is Rare\xf0 ?\n"
TEST = "1 What was Unheard ?\n4 cat cat cat cat cat cat cat cat cat\n"


def write(folder: Path, train: str = TRAIN, test: str = TEST) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "TREC.train.all").write_bytes(train.encode("latin-1"))
    (folder / "TREC.test.all").write_bytes(test.encode("latin-1"))


def trec(root: Path, shape: tuple[int, ...] = (8, -1), preprocess: Preprocess | None = None) -> Dataset:
    return datasets.get("trec")(root, shape, preprocess)


@pytest.mark.parametrize("layout", ["", "trec"])
def test_numbers_words_by_their_frequency_in_the_training_questions(tmp_path: Path, layout: str) -> None:
    write(tmp_path / layout)
    data = trec(tmp_path)
    ((questions, labels),) = data.batches("evaluation", 10)
    # three "?", then two each of "a", "cat", "is"; words that occur once are unknown
    record = data.preprocess_info()
    assert record is not None and record["words"] == ["<pad>", "<unknown>", "?", "a", "cat", "is"]
    assert questions.dtype == np.float32
    assert questions.T.tolist() == [[1, 1, 1, 2, 0, 0, 0, 0], [4] * 8]
    assert labels.tolist() == [1, 4]
    ((questions, labels),) = data.batches("calibration", 10)
    assert questions[:, 0].tolist() == [1, 5, 3, 4, 2, 0, 0, 0]
    assert labels.tolist() == [0, 5, 3]


def test_augmentation_only_makes_words_unknown(tmp_path: Path) -> None:
    write(tmp_path, train=TRAIN * 50)
    data = trec(tmp_path)
    numbers, _ = data.read("train", np.arange(150))
    changed = data.augment(numbers, np.random.default_rng(0))
    differs = changed != numbers
    assert (changed[differs] == UNKNOWN).all()
    assert (numbers[differs] != PADDING).all()
    assert 0.02 < differs[numbers > UNKNOWN].mean() < 0.3


def test_reads_the_real_questions(shared: Path) -> None:
    data = trec(shared / "data", (38, -1))
    assert (data.size("train"), data.size("calibration"), data.size("evaluation")) == (5452, 5452, 500)
    counts = np.zeros(6, int)
    for questions, labels in data.batches("evaluation", 100):
        assert questions.shape == (38, 100)
        counts += np.bincount(labels, minlength=6)
    assert counts.tolist() == [138, 94, 9, 65, 81, 113]


@pytest.mark.parametrize("line", ["6 What ?", "x What ?", "3", "What is it ?"])
def test_names_the_line_that_is_no_question(tmp_path: Path, line: str) -> None:
    write(tmp_path, train=TRAIN + line + "\n")
    with pytest.raises(MRTError, match=r"line 4 of .*TREC.train.all is not a label from 0 to 5 and words"):
        trec(tmp_path)


def test_refuses_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(MRTError, match=rf"TREC.train.all not found; put it in {tmp_path / 'trec'}"):
        trec(tmp_path)
    write(tmp_path, test="\n")
    with pytest.raises(MRTError, match=r"TREC.test.all is empty"):
        trec(tmp_path)


@pytest.mark.parametrize("shape", [(-1, 38), (38,), (-1, 3, 8, 8)])
def test_refuses_shapes_that_are_not_words_by_questions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write(tmp_path)
    with pytest.raises(MRTError, match="it must be words,-1, such as 38,-1"):
        trec(tmp_path, shape)


def test_refuses_preprocessing_of_pictures(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(MRTError, match="leave them out"):
        trec(tmp_path, preprocess=Preprocess(mean=(1.0,)))
