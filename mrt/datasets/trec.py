"""TREC questions: six kinds of question, one a line, as Li and Roth, Learning question classifiers (2002) sort them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrt.datasets.text import Text
from mrt.errors import MRTError

LAYOUTS = ("trec", "")
FILES = {"train": "TREC.train.all", "calibration": "TREC.train.all", "evaluation": "TREC.test.all"}
CLASSES = ["DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"]
PADDING, UNKNOWN = 0, 1
RARE = 2
"""A word that the training questions have less often than this is unknown."""
FORGOTTEN = 0.1
"""The share of words that augmentation makes unknown."""


class Trec(Text):
    """`trec/TREC.train.all` and `trec/TREC.test.all`: a line is a label, 0 to 5, and the words, split by spaces.

    Network input is (words, questions), not questions first, of word numbers: 0 pads the end of a question, 1 is a word
    that is not known, and the words of the training questions, in lower case, follow from the most frequent on. What
    is longer than the input is cut off.
    """

    name = "trec"
    splits: ClassVar[Mapping[str, str]] = {
        "calibration": "TREC.train.all",
        "evaluation": "TREC.test.all",
    }

    def _check_shape(self) -> None:
        if len(self.input_shape) != 2 or self.input_shape[0] < 1 or self.input_shape[1] != -1:
            given = ",".join(map(str, self.input_shape))
            raise MRTError(
                f"dataset {self.name}: input shape {given} does not fit its questions; it must be words,-1, such as "
                "38,-1"
            )

    def _open(self) -> None:
        self.labels = list(CLASSES)
        self._paths = {split: self._find(name, LAYOUTS) for split, name in FILES.items()}
        read = {path: self._read_file(path) for path in set(self._paths.values())}
        counts = Counter(word for words, _ in read[self._paths["train"]] for word in words)
        frequent = [word for word, count in counts.items() if count >= RARE]
        self.words = ["<pad>", "<unknown>", *sorted(frequent, key=lambda word: (-counts[word], word))]
        number = {word: index for index, word in enumerate(self.words) if index > UNKNOWN}
        encoded = {path: self._encode(questions, number) for path, questions in read.items()}
        self._splits = {split: encoded[path] for split, path in self._paths.items()}

    def _read_file(self, path: Any) -> list[tuple[list[str], int]]:
        """Words and label of each line."""
        questions = []
        for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
            if not line.strip():
                continue
            label, *words = line.split()
            if label not in map(str, range(len(CLASSES))) or not words:
                raise MRTError(
                    f"dataset {self.name}: line {number} of {path} is not a label from 0 to {len(CLASSES) - 1} and "
                    "words; fetch the file again"
                )
            questions.append(([word.lower() for word in words], int(label)))
        if not questions:
            raise MRTError(f"dataset {self.name}: {path} is empty; fetch it again")
        return questions

    def _encode(
        self, questions: list[tuple[list[str], int]], number: dict[str, int]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        length = self.input_shape[0]
        numbers = np.full((len(questions), length), PADDING, np.int32)
        for row, (words, _) in zip(numbers, questions):
            found = [number.get(word, UNKNOWN) for word in words[:length]]
            row[: len(found)] = found
        return numbers, np.array([label for _, label in questions], np.int64)

    def normalise(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Word numbers (N, words) to float32 network input (words, N)."""
        return np.ascontiguousarray(pixels.T, np.float32)

    def augment(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Makes some of the words unknown."""
        forgotten = (rng.random(pixels.shape) < FORGOTTEN) & (pixels != PADDING)
        return np.where(forgotten, UNKNOWN, pixels)

    def preprocess_info(self) -> dict[str, Any]:
        """How network input is made from a question, as plain values for a model's description."""
        return {"words": self.words, "lower_case": True, "layout": "TN"}
