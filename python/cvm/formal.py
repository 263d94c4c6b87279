"""The executor that follows the specification literally, in NumPy: the reference for every other one."""

from __future__ import annotations

from typing import Callable

import numpy as np

from cvm import ops
from cvm.errors import CVMError
from cvm.model import INPUT, Model, Node
from cvm.ops.base import Array, stored_type
from cvm.quantization import saturate


def run(model: Model, x: Array, keep: Callable[[Node, list[Array]], None] | None = None) -> list[Array]:
    """The outputs of `model` for the integer input `x`, one int32 array per head.

    `x` has the model's input shape, except that its first axis (the batch) may differ where the graph allows; values
    are clipped to the precision of the input. `keep(node, outputs)` is called for every node in order. Tensors are
    freed after their last use. Raises `CVMError` for an input of another shape or type, or a batch that the graph
    cannot take.
    """
    x = np.asarray(x)
    check_input(model, x)
    model.infer(x.shape)
    last_use = {i: index for index, node in enumerate(model.nodes) for i, _ in node.inputs}
    last_use.update({i: len(model.nodes) for i, _ in model.heads})
    values: dict[int, list[Array]] = {}
    for index, node in enumerate(model.nodes):
        values[index] = _evaluate(model, node, x, values)
        if keep is not None:
            keep(node, values[index])
        for i in {index} | {i for i, _ in node.inputs}:
            if last_use.get(i, index) == index:
                values.pop(i, None)
    return [values[i][k] for i, k in model.heads]


def check_input(model: Model, x: Array) -> None:
    """`CVMError` unless `x` is an integer array of the model's input shape (any batch)."""
    if x.dtype.kind not in "iu":
        raise CVMError(f"the input is {x.dtype}, expected integers (int8 or int32)")
    if x.ndim != len(model.input_shape) or x.shape[1:] != tuple(model.input_shape[1:]):
        raise CVMError(f"the input has shape {x.shape}, the model expects {tuple(model.input_shape)} (any batch)")


def _evaluate(model: Model, node: Node, x: Array, values: dict[int, list[Array]]) -> list[Array]:
    if node.is_variable and node.name == INPUT:
        return [saturate(x, model.precisions[INPUT]).astype(np.int32)]
    if node.is_variable:
        return [model.params[node.name]]
    try:
        return ops.get(node.op).formal(node.attrs, [values[i][k] for i, k in node.inputs])
    except CVMError as error:
        raise CVMError(f"node {node.name!r} ({node.op}): {error}") from None


def join_outputs(model: Model, outputs: list[Array]) -> Array:
    """The one array a host receives: int8 if every head's precision is at most 8, else int32.

    Several heads are joined on the last axis, row by row; `CVMError` where their numbers of rows differ.
    """
    precisions = model.infer().precisions
    kind = stored_type(max(precisions[i][k] for i, k in model.heads))
    if len(outputs) == 1:
        return outputs[0].astype(kind)
    rows = [output.reshape(-1, output.shape[-1]) for output in outputs]
    if len({len(part) for part in rows}) > 1:
        raise CVMError(f"heads of shapes {[output.shape for output in outputs]} have different numbers of rows")
    joined: Array = np.concatenate(rows, axis=1).astype(kind)
    return joined


def output_bytes(model: Model, outputs: list[Array]) -> bytes:
    """The output bytes of the target: `join_outputs`, little endian, row major."""
    joined = join_outputs(model, outputs)
    return joined.astype(joined.dtype.newbyteorder("<")).tobytes()
