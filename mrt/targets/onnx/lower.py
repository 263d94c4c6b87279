"""A CVM model's nodes as ONNX nodes, one after the other: the table of rules, and what goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Union

import cvm
from cvm import Model, ops
from cvm.certificate import certify
from cvm.errors import CVMError
from cvm.model import INPUT, Inferred
from cvm.ops.base import Shape, limit

from mrt.errors import MRTError
from mrt.targets.onnx import arithmetic, detection, moves, products, reductions
from mrt.targets.onnx.writer import Call, Dims, Made, Tensor, Writer

Rule = Callable[[Call], Union[Made, "list[Made]"]]

RULES: Mapping[str, Rule] = {
    "conv2d": products.conv2d,
    "dense": products.dense,
    "max_pool2d": reductions.max_pool2d,
    "upsampling": moves.upsampling,
    "relu": arithmetic.relu,
    "abs": arithmetic.absolute,
    "negative": arithmetic.negative,
    "cvm_precision": arithmetic.cvm_precision,
    "clip": arithmetic.clip,
    "cvm_clip": arithmetic.cvm_clip,
    "cvm_right_shift": arithmetic.cvm_right_shift,
    "cvm_left_shift": arithmetic.cvm_left_shift,
    "elemwise_add": arithmetic.add,
    "elemwise_sub": arithmetic.subtract,
    "broadcast_add": arithmetic.add,
    "broadcast_sub": arithmetic.subtract,
    "broadcast_mul": arithmetic.multiply,
    "broadcast_max": arithmetic.maximum,
    "broadcast_div": arithmetic.divide,
    "broadcast_greater": arithmetic.greater,
    "sum": reductions.total,
    "max": reductions.largest,
    "concatenate": moves.concatenate,
    "transpose": moves.transpose,
    "reshape": moves.reshape,
    "squeeze": moves.reshape,
    "expand_dims": moves.reshape,
    "flatten": moves.reshape,
    "repeat": moves.repeat,
    "tile": moves.tile,
    "strided_slice": moves.part,
    "slice_like": moves.part,
    "take": moves.take,
    "cvm_lut": moves.cvm_lut,
    "where": arithmetic.where,
    "get_valid_counts": detection.get_valid_counts,
    "non_max_suppression": detection.non_max_suppression,
}
"""A rule for each of the target's operators."""


@dataclass(frozen=True)
class Lowered:
    """The nodes and constants, a tensor for each output of a node, the model's heads, and the input's shape."""

    writer: Writer
    tensors: list[Tensor]
    heads: list[Tensor]
    input_dims: Dims


def lower(model: Model, batch: int | None, source: str) -> Lowered:
    """The model as ONNX nodes.

    Args:
        model: one whose certificate holds.
        batch: the batch size; None for any.
        source: the name of the integers that it reads.

    Raises:
        MRTError: int32 can overflow; a node cannot be said exactly; or, for any batch, the graph is bound to one.
        CVMError: the target refuses the model.
    """
    if batch is not None:
        return _lowered(_of_batch(model, batch), None, source)
    one, two, three = (_of_batch(model, size) for size in (1, 2, 3))
    try:
        dims = _free(one.infer(), two.infer(), three.infer())
    except CVMError as error:
        raise MRTError(f"the model is bound to its batch: {error}") from None
    found, other = (_lowered(each, dims, source) for each in (two, three))
    if found.writer.nodes != other.writer.nodes or found.writer.constants != other.writer.constants:
        raise MRTError("the model is bound to its batch")
    return found


def _of_batch(model: Model, batch: int) -> Model:
    return replace(model, input_shape=(batch, *model.input_shape[1:]))


def _free(*inferred: Inferred) -> list[list[Dims]]:
    """Every shape for any batch, from those for one sample, two and three."""
    return [[_dims(*shapes) for shapes in zip(*outputs)] for outputs in zip(*(each.shapes for each in inferred))]


def _dims(one: Shape, two: Shape, three: Shape) -> Dims:
    steps = [n - m for m, n in zip(two, three)]
    if len(one) != len(two) or any((m, n) != (step or m, 2 * step or m) for m, n, step in zip(one, two, steps)):
        raise MRTError("the model is bound to its batch")
    return tuple("N" if step == 1 else f"{step}*N" if step else size for size, step in zip(one, steps))


def _lowered(model: Model, dims: list[list[Dims]] | None, source: str) -> Lowered:
    inferred, certificate = model.infer(), certify(model)
    if not certificate.ok:
        raise MRTError(certificate.verdict())
    writer, proofs = Writer(), iter(certificate.nodes)
    writer.part = writer.unique(source)
    made = arithmetic.saturated(writer, source, model.precisions[INPUT])
    tensors: list[list[Tensor]] = []
    for index, node in enumerate(model.nodes):
        shapes = inferred.shapes[index]
        free: list[Dims] = dims[index] if dims else list(shapes)
        if node.is_variable:
            tensors.append([_variable(model, node.name, shapes[0], free[0], made)])
            continue
        proven = [next(proofs) for _ in shapes]
        operator = ops.get(node.op)
        call = Call(writer, operator, operator.parse(node.attrs), [tensors[i][k] for i, k in node.inputs])
        call.shapes, call.dims, call.accumulator = list(shapes), free, proven[0].accumulator
        call.low, call.high = proven[0].low, proven[0].high
        writer.part, start = node.name, len(writer.nodes)
        try:
            given = RULES[node.op](call)
        except MRTError as error:
            raise MRTError(f"node {node.name} ({node.op}): {error}") from None
        results = given if isinstance(given, list) else [given]
        found = []
        for k, (result, proof) in enumerate(zip(results, proven)):
            doc = _documentation(node, proof.low, proof.high, proof.precision)
            name = writer.rename(start, result.name, f"{node.name}:{k}" if k else node.name, doc)
            reach = max(result.reach, abs(proof.low), abs(proof.high))
            found.append(Tensor(name, shapes[k], free[k], proof.low, proof.high, reach, result.is_float))
        tensors.append(found)
    data = next(i for i, node in enumerate(model.nodes) if node.is_variable and node.name == INPUT)
    operators = [each for node, found in zip(model.nodes, tensors) if not node.is_variable for each in found]
    heads = [tensors[i][k] for i, k in model.heads]
    return Lowered(writer, _once(operators), heads, tensors[data][0].dims)


def _once(tensors: list[Tensor]) -> list[Tensor]:
    """Without those that are an earlier one under another name."""
    return list({tensor.name: tensor for tensor in reversed(tensors)}.values())[::-1]


def _variable(model: Model, name: str, shape: Shape, dims: Dims, made: Made) -> Tensor:
    """The input, which is `made` already, or a parameter."""
    if name != INPUT:
        values = model.params[name]
        low, high = int(values.min()), int(values.max())
        return Tensor(name, shape, dims, low, high, max(abs(low), abs(high)), False, values)
    bound = limit(model.precisions[INPUT])
    return Tensor(made.name, shape, dims, -bound, bound, bound, made.is_float)


def _documentation(node: cvm.Node, low: int, high: int, precision: int) -> str:
    attrs = " ".join(f"{key}={value}" for key, value in node.attrs.items())
    return f"{' '.join(filter(None, (node.op, attrs)))}: {low} to {high}, precision {precision}"
