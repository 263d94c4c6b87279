"""The integer network as something that can be trained: the same arithmetic forward, straight through backward."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mxnet as mx
import numpy as np

from mrt.compress.trainable import Constants, trainable
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.executors.symbol import to_symbol
from mrt.graph import Array, Graph
from mrt.graph.batch import Feed
from mrt.quantizer.quantize import Quantized

_BEST = "best/"


class IntegerLearner:
    """An integer network that `mrt.train.fit` trains (`mrt.train.Learner`); its best state is kept beside the last.

    Args:
        quantized: the integer network.
        layers: whose constants are learned.
        section: that asks for it, named in errors.

    Raises:
        MRTError: there are none.
    """

    def __init__(self, quantized: Quantized, layers: list[Constants], section: str = "qat") -> None:
        if not layers:
            raise MRTError("the integer network has no layer that could be trained", switch=section)
        self._quantized = quantized
        self._start: dict[str, Array] = {}
        graph, self._constants = trainable(quantized.graph, layers, self._start)
        self._graph = graph
        (self._data,) = graph.inputs
        symbol = to_symbol(graph)
        names = symbol.list_inputs()
        arrays = {name: mx.nd.array(graph.params[name], dtype="float64") for name in names if name not in graph.inputs}
        self.learned = {name: arrays[name] for name in self._start if name in arrays}
        for array in self.learned.values():
            array.attach_grad()
        self._score = mx.nd.full((1,), -np.inf, dtype="float64")
        self._best = {_BEST + name: array.copy() for name, array in self.learned.items()}
        self.state = {**self.learned, **self._best, _BEST: self._score}
        self._arguments = [arrays.get(name) for name in names]
        self._position = names.index(self._data)
        self._cached = mx.nd.CachedOp(symbol)

    def integers(self, pictures: Feed) -> list[Any]:
        """The integers of the outputs, as MXNet's float64 arrays."""
        arguments = list(self._arguments)
        feed = self._quantized.integers(pictures)
        arguments[self._position] = mx.nd.array(feed, dtype="float64")
        outputs = self._cached(*arguments)
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]

    def __call__(self, pictures: Feed) -> list[Any]:
        """The real outputs, in float32."""
        return [
            ((output + info.offset) * float(info.scale)).astype("float32")
            for output, info in zip(self.integers(pictures), self._quantized.outputs)
        ]

    def keep_if_best(self, score: float) -> None:
        """Remember the constants as they are now if `score` is above all before."""
        if score > float(self._score.asscalar()):
            self._score[:] = score
            for name, array in self.learned.items():
                array.copyto(self._best[_BEST + name])

    def network(self, best: bool = False) -> Quantized:
        """The integer network with the constants of now, or the best."""
        arrays = {name: self._best[_BEST + name] if best else array for name, array in self.learned.items()}
        params = {**self._graph.params, **{name: array.asnumpy() for name, array in arrays.items()}}
        values = Graph(tuple(self._constants.values()), params, self._graph.inputs)
        graph = self._quantized.graph
        found = dict(graph.params)
        for name, array in zip(self._constants, Executor(values, dtype="float64")({})):
            found[name] = array.astype(np.int32).reshape(found[name].shape)
        return replace(self._quantized, graph=Graph(graph.outputs, found, graph.inputs), stored={}, computed={})
