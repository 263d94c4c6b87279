"""Runs graphs on MXNet and asks it for shapes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import mxnet as mx
import numpy as np

from mrt.errors import MRTError, Remedy
from mrt.executors.avoided import without_faults
from mrt.executors.symbol import to_symbol
from mrt.graph.ir import Array, Graph, Shape, Value

# MXNet makes the gradient of all that it runs, and fails ("control dep not found in graph") where it adds up more than
# this many in place: a tensor that so many operators read. It looks once, the first time.
os.environ.setdefault("MXNET_EXEC_INPLACE_GRAD_SUM_CAP", str(2**31 - 1))
# Its search for common expressions takes time that grows with the square of the graph: 20 s for 9,000 nodes, each time.
os.environ.setdefault("MXNET_ELIMINATE_COMMON_EXPR", "0")
# Of its four scratch areas, each of which grows to what the largest layer ever took (im2col in float64) and stays, one.
os.environ.setdefault("MXNET_CPU_TEMP_COPY", "1")


def infer_shapes(graph: Graph, batch: int = 1) -> dict[Value, Shape]:
    """The shape of every value that some node reads or the graph returns, by MXNet's own inference.

    Raises:
        MRTError: the shapes do not fit together.
    """
    values = tuple(dict.fromkeys([v for node in graph.nodes() for v in node.inputs] + list(graph.outputs)))
    read = {node.name for node in graph.nodes() if node.is_variable}
    sizes = {**{name: tuple(array.shape) for name, array in graph.params.items()}, **graph.input_shapes(batch)}
    known = {name: size for name, size in sizes.items() if name in read}
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where MXNet prints the arguments before it raises
            _, shapes, _ = to_symbol(Graph(values, graph.params, graph.inputs)).infer_shape(**known)
    except mx.base.MXNetError as error:
        raise MRTError(
            f"the shapes of the network do not fit together for input {dict(graph.inputs)}: {_reason(error)}",
            Remedy.INPUT_SHAPE,
        ) from None
    if shapes is None:
        raise MRTError(
            f"the shapes of the network cannot be inferred from input {dict(graph.inputs)}", Remedy.INPUT_SHAPE
        )
    return {value: tuple(shape) for value, shape in zip(values, shapes)}


def _reason(error: Exception) -> str:
    """The line of MXNet's message that says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if "rror" in line or "Check failed" in line]
    return (lines[0] if lines else str(error).strip().splitlines()[0])[:200]


class Executor:
    """A graph bound to MXNet.

    Args:
        graph: what to run.
        outputs: the values to return; default the graph's outputs.
        dtype: "float32", or "float64" for integer graphs (exact below 2^53).
        context: MXNet device.
        shared: MXNet arrays by parameter name, for executors of graphs that have their parameters in common; is
            added to.
    """

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[Value] | None = None,
        dtype: str = "float32",
        context: Any | None = None,
        shared: dict[str, Any] | None = None,
    ) -> None:
        self._context = context or mx.cpu()
        self._dtype = dtype
        heads = graph.outputs if outputs is None else tuple(outputs)
        self._symbol = to_symbol(without_faults(Graph(heads, graph.params, graph.inputs)))
        names = self._symbol.list_inputs()
        self._inputs = [name for name in graph.inputs if name in names]
        arrays = {} if shared is None else shared
        for name in names:
            if name not in graph.inputs and name not in arrays:
                arrays[name] = self._loaded(graph.params[name])
        self._arguments = [name if name in graph.inputs else arrays[name] for name in names]
        # Not Symbol.bind: its oneDNN graph fusion fails on networks whose inner tensors are outputs too (calibration).
        # And that needs an input.
        self._cached = mx.nd.CachedOp(self._symbol) if names else lambda: self._symbol.eval(ctx=self._context)

    def _loaded(self, array: Array) -> Any:
        """A parameter in MXNet's memory; `mx.nd.array` would hold it twice there while it converts."""
        own = mx.nd.from_numpy(np.array(array, order="C"))
        return own.as_in_context(self._context).astype(self._dtype, copy=False)

    def __call__(self, data: Array | Mapping[str, Array]) -> list[Array]:
        """Run on one batch of any size; a bare array feeds the only input. Returns one array per output.

        Raises:
            MRTError: the network does not take such a batch.
        """
        feed = data if isinstance(data, Mapping) else dict.fromkeys(self._inputs, data)
        arguments = [
            mx.nd.array(feed[item], ctx=self._context, dtype=self._dtype) if isinstance(item, str) else item
            for item in self._arguments
        ]
        try:
            outputs = self._cached(*arguments)
            outputs = outputs[::-1] if isinstance(outputs, list) else [outputs]
            return [outputs.pop().asnumpy() for _ in range(len(outputs))]  # each is held once
        except mx.base.MXNetError as error:
            shapes = {name: tuple(np.shape(feed[name])) for name in self._inputs}
            raise MRTError(f"MXNet cannot run the network on input {shapes}: {_reason(error)}") from None
