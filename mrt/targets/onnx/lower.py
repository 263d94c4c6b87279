"""A CVM model's nodes as ONNX nodes, one after the other: the table of rules, and what goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Union

from cvm import Model, Node, ops
from cvm.certificate import NodeProof, certify
from cvm.errors import CVMError
from cvm.model import INPUT, Inferred
from cvm.ops.base import Shape, limit

from mrt.errors import MRTError
from mrt.targets.onnx import arithmetic, detection, moves, products, reductions
from mrt.targets.onnx.writer import BoundError, Call, Dims, Made, Tensor, Writer

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
        BoundError: for any batch: the graph is bound to one.
        MRTError: int32 can overflow, or a node cannot be said exactly.
        CVMError: the target refuses the model.
    """
    if batch is not None:
        model = _of_batch(model, batch)
        return _lowered(model, [list(shapes) for shapes in model.infer().shapes], source)
    samples = [_of_batch(model, count) for count in (1, 2, 3)]
    try:
        inferred = [each.infer() for each in samples]
    except CVMError as error:
        raise BoundError(str(error)) from None
    return _lowered(samples[1], _free(*inferred), source)


def _of_batch(model: Model, batch: int) -> Model:
    return replace(model, input_shape=(batch, *model.input_shape[1:]))


def _free(*inferred: Inferred) -> list[list[Dims]]:
    """Every shape for any batch, from those for one sample, two and three."""
    return [[_dims(*shapes) for shapes in zip(*outputs)] for outputs in zip(*(each.shapes for each in inferred))]


def _dims(one: Shape, two: Shape, three: Shape) -> Dims:
    steps = [n - m for m, n in zip(two, three)]
    if len(one) != len(two) or any((m, n) != (step or m, 2 * step or m) for m, n, step in zip(one, two, steps)):
        raise BoundError(f"shapes {one}, {two}, {three} of one sample, two and three")
    return tuple("N" if step == 1 else f"{step}*N" if step else dim for dim, step in zip(one, steps))


def _lowered(model: Model, dims: list[list[Dims]], source: str) -> Lowered:
    certificate = certify(model)
    if not certificate.ok:
        raise MRTError(certificate.verdict())
    writer, proofs = Writer(), iter(certificate.nodes)
    writer.part = writer.unique(source)
    made = arithmetic.saturated(Call(writer, None, None, []), source, model.precisions[INPUT])
    tensors: list[list[Tensor]] = []
    for node, shapes in zip(model.nodes, dims):
        if node.is_variable:
            tensors.append([_variable(model, node.name, shapes[0], made)])
        else:
            inputs = [tensors[i][k] for i, k in node.inputs]
            tensors.append(_operator(writer, node, inputs, shapes, [next(proofs) for _ in shapes]))
    data = next(i for i, node in enumerate(model.nodes) if node.is_variable and node.name == INPUT)
    operators = [each for node, found in zip(model.nodes, tensors) if not node.is_variable for each in found]
    return Lowered(writer, _once(operators), [tensors[i][k] for i, k in model.heads], tensors[data][0].dims)


def _operator(
    writer: Writer, node: Node, inputs: list[Tensor], dims: list[Dims], proofs: list[NodeProof]
) -> list[Tensor]:
    """The outputs of a node, under its name."""
    operator = ops.get(node.op)
    call = Call(writer, operator, operator.parse(node.attrs), inputs)
    call.dims, call.accumulator = dims, proofs[0].accumulator
    call.low, call.high = proofs[0].low, proofs[0].high
    writer.part, start = node.name, len(writer.nodes)
    try:
        given = RULES[node.op](call)
    except MRTError as error:
        raise type(error)(f"node {node.name} ({node.op}): {error}") from None
    found = []
    for k, (result, proof) in enumerate(zip(given if isinstance(given, list) else [given], proofs)):
        name = writer.rename(start, result.name, f"{node.name}:{k}" if k else node.name, _documentation(node, proof))
        reach = max(result.reach, abs(proof.low), abs(proof.high))
        found.append(Tensor(name, dims[k], proof.low, proof.high, reach, result.is_float))
    return found


def _once(tensors: list[Tensor]) -> list[Tensor]:
    """Without those that are an earlier one under another name."""
    return list({tensor.name: tensor for tensor in reversed(tensors)}.values())[::-1]


def _variable(model: Model, name: str, dims: Dims, made: Made) -> Tensor:
    """The input, which is `made` already, or a parameter."""
    if name != INPUT:
        values = model.params[name]
        low, high = int(values.min()), int(values.max())
        return Tensor(name, dims, low, high, max(abs(low), abs(high)), False, values)
    bound = limit(model.precisions[INPUT])
    return Tensor(made.name, dims, -bound, bound, bound, made.is_float)


def _documentation(node: Node, proof: NodeProof) -> str:
    attrs = " ".join(f"{key}={value}" for key, value in node.attrs.items())
    kind = " ".join(filter(None, (node.op, attrs)))
    return f"{kind}: {proof.low} to {proof.high}, precision {proof.precision}"
