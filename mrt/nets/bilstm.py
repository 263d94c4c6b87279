"""A bidirectional LSTM that classifies a sentence: the student of Tang et al., Distilled BiLSTM (2019)."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet.gluon import nn, rnn

MASKED = 2.0
"""What is taken off the outputs behind the last token: they are below 1 in magnitude, so that none is the largest."""


class BiLSTM(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """(N, length) numbers of tokens and their mask to class scores (N, classes).

    Of each unit its largest output at any token, then a dense layer with ReLU, and the classes.
    """

    def __init__(
        self, size: int = 300, units: int = 150, inner: int = 400, vocabulary: int = 30522, classes: int = 2
    ) -> None:
        super().__init__(prefix="bilstm_")
        with self.name_scope():
            self.words = nn.Embedding(vocabulary, size, prefix="words_")
            self.dropout = nn.Dropout(0.3)
            self.lstm = rnn.LSTM(units, layout="NTC", bidirectional=True, input_size=size, prefix="lstm_")
            self.inner = nn.Dense(inner, activation="relu", in_units=2 * units, prefix="inner_")
            self.classes = nn.Dense(classes, in_units=inner, prefix="classes_")

    def hybrid_forward(self, F: Any, tokens: Any, mask: Any) -> Any:
        """Tokens and mask (N, length) to class scores (N, classes)."""
        outputs = self.lstm(self.dropout(self.words(tokens)))
        shown = F.broadcast_add(outputs, (mask.expand_dims(2) - 1) * MASKED)
        return self.classes(self.dropout(self.inner(F.max(shown, axis=1))))


def bilstm() -> mx.gluon.HybridBlock:
    """The student's sizes: word vectors of 300, 150 units a direction, 400 between."""
    return BiLSTM()
