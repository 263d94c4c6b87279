"""Transformers of BERT's kind that classify a sentence (Devlin et al., BERT, 2018; Wang et al., MiniLM, 2020).

Two inputs, each (N, length): numbers of WordPiece tokens, of which the first stands for the whole sentence, and a mask,
1 where there is a token and 0 behind the last. Any length up to the number of positions. There is one segment, whose
vector is part of the positions'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import mxnet as mx
from mxnet.gluon import nn

MASKED = 10000.0
"""What is taken off the attention to a masked position, so that its share is 0."""


@dataclass(frozen=True)
class BertShape:
    """The numbers that make a network.

    Attributes:
        layers: transformer layers.
        width: of a token's vector; `heads` divide it.
        heads: of attention.
        inner: width within each feed-forward network.
        vocabulary: how many tokens there are.
        classes: how many scores come out.
        positions: the longest sentence, in tokens.
        gelu: "erf" (exact) or "tanh" (its approximation).
        dropout: in training.
    """

    layers: int
    width: int
    heads: int
    inner: int
    vocabulary: int = 30522
    classes: int = 2
    positions: int = 512
    gelu: str = "erf"
    dropout: float = 0.1


MINILM = BertShape(layers=6, width=384, heads=12, inner=1536)
TINYBERT = BertShape(layers=4, width=312, heads=12, inner=1200)
BASE = BertShape(layers=12, width=768, heads=12, inner=3072)


class _Embedding(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """The sum of each token's vector and its position's, normalised."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__(prefix="embedding_")
        with self.name_scope():
            self.words = nn.Embedding(shape.vocabulary, shape.width, prefix="words_")
            self.positions = self.params.get("positions", shape=(1, shape.positions, shape.width))
            self.norm = _norm(shape)
            self.dropout = nn.Dropout(shape.dropout)

    def hybrid_forward(self, F: Any, tokens: Any, positions: Any) -> Any:
        """(N, length) numbers of tokens to (N, length, width)."""
        vectors = self.words(tokens)
        return self.dropout(self.norm(F.broadcast_add(vectors, F.slice_like(positions, vectors, axes=(1,)))))


class _Attention(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """For each head, each token's mean of all tokens' values, weighed by softmax(query key / sqrt(size of a head))."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__(prefix="attention_")
        self._heads, self._scale = shape.heads, 1.0 / math.sqrt(shape.width // shape.heads)
        with self.name_scope():
            self.query, self.key, self.value, self.output = (
                nn.Dense(shape.width, flatten=False, in_units=shape.width, prefix=f"{name}_")
                for name in ("query", "key", "value", "output")
            )
            self.dropout = nn.Dropout(shape.dropout)

    def hybrid_forward(self, F: Any, x: Any, hidden: Any) -> Any:
        """(N, length, width), and what is added to the attention to each position, (N, 1, 1, length)."""
        query = self._by_head(F, self.query(x) * self._scale)
        key, value = self._by_head(F, self.key(x)), self._by_head(F, self.value(x))
        scores = F.batch_dot(query, key, transpose_b=True).reshape((-4, -1, self._heads, 0, 0))
        shares = F.softmax(F.broadcast_add(scores, hidden)).reshape((-3, 0, 0))
        mixed = F.batch_dot(self.dropout(shares), value).reshape((-4, -1, self._heads, 0, 0))
        return self.output(F.transpose(mixed, axes=(0, 2, 1, 3)).reshape((0, 0, -3)))

    def _by_head(self, F: Any, x: Any) -> Any:
        """(N, length, width) to (N * heads, length, size of a head)."""
        return F.transpose(x.reshape((0, 0, -4, self._heads, -1)), axes=(0, 2, 1, 3)).reshape((-3, 0, 0))


class _Layer(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """Attention and a feed-forward network, each added to what it reads and then normalised."""

    def __init__(self, shape: BertShape, number: int) -> None:
        super().__init__(prefix=f"layer{number}_")
        self._gelu = shape.gelu
        with self.name_scope():
            self.attention = _Attention(shape)
            self.attention_norm = _norm(shape, "attention_")
            self.inner = nn.Dense(shape.inner, flatten=False, in_units=shape.width, prefix="inner_")
            self.outer = nn.Dense(shape.width, flatten=False, in_units=shape.inner, prefix="outer_")
            self.norm = _norm(shape)
            self.dropout = nn.Dropout(shape.dropout)

    def hybrid_forward(self, F: Any, x: Any, hidden: Any) -> Any:
        """(N, length, width) to the same shape."""
        x = self.attention_norm(x + self.dropout(self.attention(x, hidden)))
        return self.norm(x + self.dropout(self.outer(self._activated(F, self.inner(x)))))

    def _activated(self, F: Any, x: Any) -> Any:
        """x times the normal distribution's integral up to x; or the approximation of Hendrycks and Gimpel (2016)."""
        if self._gelu == "erf":
            return F.LeakyReLU(x, act_type="gelu")
        return 0.5 * x * (1 + F.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


class Bert(nn.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """See the module: (N, length) tokens and mask to class scores (N, classes)."""

    def __init__(self, shape: BertShape, prefix: str = "bert_") -> None:
        super().__init__(prefix=prefix)
        if shape.width % shape.heads or shape.gelu not in ("erf", "tanh"):
            raise ValueError(f"{shape.heads} heads do not divide a width of {shape.width}, or gelu is not erf or tanh")
        self.shape = shape
        with self.name_scope():
            self.embedding = _Embedding(shape)
            self.layers = nn.HybridSequential(prefix="")
            for number in range(shape.layers):
                self.layers.add(_Layer(shape, number))
            self.pooler = nn.Dense(shape.width, activation="tanh", in_units=shape.width, prefix="pooler_")
            self.dropout = nn.Dropout(shape.dropout)
            self.classes = nn.Dense(shape.classes, in_units=shape.width, prefix="classes_")

    def hybrid_forward(self, F: Any, tokens: Any, mask: Any) -> Any:
        """Tokens and mask (N, length) to class scores (N, classes)."""
        hidden = (mask.expand_dims(1).expand_dims(1) - 1) * MASKED
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, hidden)
        first = F.slice_axis(x, axis=1, begin=0, end=1).reshape((0, -1))
        return self.classes(self.dropout(self.pooler(first)))


def _norm(shape: BertShape, prefix: str = "") -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=1e-12, in_channels=shape.width, prefix=f"{prefix}norm_")


def minilm() -> mx.gluon.HybridBlock:
    """MiniLM-L6-H384, uncased, for two classes."""
    return Bert(MINILM, "minilm_")


def minilm_3() -> mx.gluon.HybridBlock:
    """Three layers of MiniLM's sizes."""
    return Bert(replace(MINILM, layers=3), "minilm_3_")


def bert_312_3() -> mx.gluon.HybridBlock:
    """Three layers of TinyBERT's sizes."""
    return Bert(replace(TINYBERT, layers=3), "bert_312_3_")


def tinybert() -> mx.gluon.HybridBlock:
    """TinyBERT's four layers of 312, for two classes."""
    return Bert(TINYBERT, "tinybert_")


def bert_base() -> mx.gluon.HybridBlock:
    """BERT base, uncased, for two classes."""
    return Bert(BASE, "bert_base_")
