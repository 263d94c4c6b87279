from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="needs the extra text")

from mrt import datasets
from mrt.datasets import Dataset, Preprocess
from mrt.datasets.sst2 import SST2
from mrt.errors import MRTError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "##s", "."]
LENGTH = 6
BOTH = {"data0": (-1, LENGTH), "data1": (-1, LENGTH)}
TRAIN = "1 a good film .\n0 bad films\n"


def write(folder: Path, train: str = TRAIN, words: list[str] = WORDS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "stsa.binary.train").write_text(train)
    (folder / "stsa.binary.dev").write_text("0 Bad bad FILM\n")
    (folder / "stsa.binary.test").write_text("1 good unheard film\n1 good\n")


def sst2(root: Path, shape: object = BOTH, preprocess: Preprocess | None = None) -> Dataset:
    return datasets.load("sst2", root, shape, preprocess)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["", "sst2"])
def test_gives_wordpiece_tokens_and_their_mask(tmp_path: Path, layout: str) -> None:
    write(tmp_path / layout)
    data = sst2(tmp_path)
    ((feed, labels),) = data.batches("train", 10)
    assert feed["data0"].tolist() == [[2, 5, 6, 8, 10, 3], [2, 7, 8, 9, 3, 0]]
    assert feed["data1"].tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]
    assert {array.dtype.kind for array in feed.values()} == {"i"}
    assert labels.tolist() == [1, 0] and data.labels == ["negative", "positive"]
    ((feed, labels),) = data.batches("evaluation", 10)  # dev, then test; lower case; what is not known is [UNK]
    assert feed["data0"].tolist() == [[2, 7, 7, 8, 3, 0], [2, 6, 1, 8, 3, 0], [2, 6, 3, 0, 0, 0]]
    assert labels.tolist() == [0, 1, 1]


def test_a_network_of_one_input_reads_the_tokens(tmp_path: Path) -> None:
    write(tmp_path)
    ((tokens, _),) = sst2(tmp_path, (-1, 4)).batches("train", 10)
    assert tokens.tolist() == [[2, 5, 6, 3], [2, 7, 8, 3]]  # what is longer loses its end, but not [SEP]


def test_reads_the_tables_of_glue(tmp_path: Path) -> None:
    write(tmp_path)
    glue = tmp_path / "SST-2"
    glue.mkdir()
    (glue / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (glue / "train.tsv").write_text("sentence\tlabel\na good film \t1\n")
    (glue / "dev.tsv").write_text("sentence\tlabel\nbad film \t0\ngood \t1\n")
    data = sst2(tmp_path)
    assert (data.size("train"), data.size("evaluation")) == (1, 2)
    ((feed, labels),) = data.batches("evaluation", 10)
    assert feed["data0"].tolist() == [[2, 7, 8, 3, 0, 0], [2, 6, 3, 0, 0, 0]] and labels.tolist() == [0, 1]


def test_augmentation_only_hides_words(tmp_path: Path) -> None:
    write(tmp_path, train=TRAIN * 100)
    data = sst2(tmp_path)
    tokens, _ = data.read("train", np.arange(200))
    changed = data.augment(tokens, np.random.default_rng(0))
    differs = changed != tokens
    assert set(changed[differs]) == {WORDS.index("[MASK]")} and not set(tokens[differs]) & {0, 2, 3}
    assert 0.02 < differs[tokens > 3].mean() < 0.3


def test_reads_the_real_sentences(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    for name in ("train", "dev", "test"):
        (tmp_path / "sst2" / f"stsa.binary.{name}").symlink_to(shared / "data/sst2" / f"stsa.binary.{name}")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    data = sst2(tmp_path, {"tokens": (-1, 64), "mask": (-1, 64)})
    assert (data.size("train"), data.size("evaluation")) == (6920, 872 + 1821)
    labels = np.concatenate([labels for _, labels in data.batches("evaluation", 500)])
    assert np.bincount(labels).tolist() == [428 + 912, 444 + 909]


@pytest.mark.parametrize("line", ["2 a film", "x a film", "1", "1 "])
def test_names_the_line_that_is_no_sentence(tmp_path: Path, line: str) -> None:
    write(tmp_path, train=TRAIN + line + "\n")
    with pytest.raises(MRTError, match=r"line 3 of .*stsa.binary.train is not a label, 0 or 1, and a sentence"):
        sst2(tmp_path)


@pytest.mark.parametrize(
    "shape", [(-1, 3, 8, 8), (38, -1), {"a": (-1, 8), "b": (-1, 9)}, {"a": (-1, 8), "b": (-1, 8), "c": (-1, 8)}]
)
def test_refuses_shapes_that_are_not_sentences_by_tokens(tmp_path: Path, shape: object) -> None:
    write(tmp_path)
    with pytest.raises(MRTError, match=r"sst2: input shape .* does not fit its sentences; it must be -1,tokens"):
        sst2(tmp_path, shape)


def test_refuses_what_is_no_vocabulary_and_missing_or_empty_files(tmp_path: Path) -> None:
    write(tmp_path, words=["[CLS]", "[PAD]", "[UNK]", "[SEP]"])
    with pytest.raises(MRTError, match=r"vocab.txt: is no vocabulary of BERT's kind"):
        sst2(tmp_path)
    write(tmp_path, train="\n")
    with pytest.raises(MRTError, match=r"stsa.binary.train is empty"):
        sst2(tmp_path)
    (tmp_path / "stsa.binary.train").unlink()
    with pytest.raises(MRTError, match=rf"stsa.binary.train not found; put it in {tmp_path / 'sst2'}"):
        sst2(tmp_path)


def test_refuses_preprocessing_of_pictures(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(MRTError, match="have no mean, std, scale or crop"):
        sst2(tmp_path, preprocess=Preprocess(scale=255.0))
    assert SST2.several_inputs
