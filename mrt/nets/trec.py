"""Classifiers of questions, given as word numbers (words, N), the layout that MRT's trec has; classes (N, 6)."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet.gluon import nn

WORDS = 38
VOCABULARY = 3480
CLASSES = 6


class _Questions(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """Word vectors (N, words, size), batch first from here on, with dropout."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__(prefix="words_")
        with self.name_scope():
            self.embedding = nn.Embedding(VOCABULARY, size)
            self.dropout = nn.Dropout(dropout)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(words, N) numbers of words to (N, words, size)."""
        return self.dropout(self.embedding(F.transpose(x, axes=(1, 0))))


class _TextCNN(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """Convolutions over windows of several lengths, each with the largest response anywhere in the question."""

    def __init__(self, size: int, channels: int, windows: tuple[int, ...]) -> None:
        super().__init__(prefix="trec_")
        with self.name_scope():
            self.words = _Questions(size, 0.5)
            self.windows = nn.HybridSequential(prefix="")
            for window in windows:
                self.windows.add(nn.Conv1D(channels, window, padding=window // 2, activation="relu"))
            self.dropout = nn.Dropout(0.5)
            self.classes = nn.Dense(CLASSES)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Word numbers (words, N) to class scores (N, classes)."""
        vectors = F.transpose(self.words(x), axes=(0, 2, 1))
        features = [F.max(window(vectors), axis=2) for window in self.windows]
        return self.classes(self.dropout(F.concat(*features, dim=1)))


class _Direction(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """An LSTM (Hochreiter and Schmidhuber, 1997) unrolled over the words, whose state before the first is zero."""

    def __init__(self, units: int, backward: bool) -> None:
        super().__init__(prefix="backward_" if backward else "forward_")
        self._backward = backward
        with self.name_scope():
            self.of_word = nn.Dense(4 * units, flatten=False)
            self.of_state = nn.Dense(4 * units, use_bias=False, flatten=False, in_units=units)

    def hybrid_forward(self, F: Any, vectors: Any) -> Any:
        """(N, words, size) to the outputs (N, words, units)."""
        steps = list(F.split(self.of_word(vectors), num_outputs=WORDS, axis=1, squeeze_axis=True))
        outputs: list[Any] = []
        state = None
        for step in reversed(steps) if self._backward else steps:
            total = step if state is None else step + self.of_state(outputs[-1])
            enter, keep, leave, new = F.split(total, num_outputs=4, axis=1)
            update = F.sigmoid(enter) * F.tanh(new)
            state = update if state is None else F.sigmoid(keep) * state + update
            outputs.append(F.sigmoid(leave) * F.tanh(state))
        in_order = reversed(outputs) if self._backward else outputs
        return F.concat(*[F.expand_dims(output, axis=1) for output in in_order], dim=1)


class _TextLSTM(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """An LSTM in each direction; of each unit its largest output anywhere in the question."""

    def __init__(self, size: int, units: int) -> None:
        super().__init__(prefix="trec_lstm_")
        with self.name_scope():
            self.words = _Questions(size, 0.5)
            self.forward_ = _Direction(units, backward=False)
            self.backward_ = _Direction(units, backward=True)
            self.dropout = nn.Dropout(0.5)
            self.classes = nn.Dense(CLASSES)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Word numbers (words, N) to class scores (N, classes)."""
        vectors = self.words(x)
        outputs = F.concat(self.forward_(vectors), self.backward_(vectors), dim=2)
        return self.classes(self.dropout(F.max(outputs, axis=1)))


def trec() -> mx.gluon.HybridBlock:
    """The network of Kim, Convolutional neural networks for sentence classification (2014), CNN-rand, smaller."""
    return _TextCNN(size=64, channels=64, windows=(1, 3, 5))


def trec_lstm() -> mx.gluon.HybridBlock:
    """A bidirectional LSTM with pooling over time."""
    return _TextLSTM(size=64, units=48)
