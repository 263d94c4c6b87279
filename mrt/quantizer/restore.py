"""Leaves chosen operators in float inside an integer graph, to find out what quantizing them costs.

    integers -> (q + o) * S -> operator in float -> round(x / S' - o') -> integers

Such a graph runs on MXNet but has no integer-only form: it cannot be compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cvm.ops.base import Range

from mrt.errors import MRTError, Remedy
from mrt.graph import Graph, Node, Value, as_param
from mrt.integer.context import QuantizeContext
from mrt.integer.qvalue import IntValue, QValue

_BY_OPERATOR = "_OP_"
_ALL_EXCEPT = "_ALL_EXCEPT_"


def restored_nodes(graph: Graph, names: Sequence[str]) -> set[Node]:
    """The nodes that `Restore_name` means: node names (of the user's network or of the prepared one), `_OP_` followed
    by an operator's name, or `_ALL_EXCEPT_` followed by the names to quantize.

    Raises:
        MRTError: a name matches nothing, or an operator of several outputs.
    """
    nodes = [node for node in graph.nodes() if not node.is_variable]
    everything_but = bool(names) and names[0] == _ALL_EXCEPT
    matched: set[Node] = set()
    for name in names[1:] if everything_but else names:
        if name.startswith(_BY_OPERATOR):
            found = [node for node in nodes if node.op == name[len(_BY_OPERATOR) :]]
        else:
            found = [node for node in nodes if name == node.name or name in node.origin]
        if not found:
            raise MRTError(f"left in float: the network has no node {name}", Remedy.RESTORED_NAMES)
        matched.update(found)
    chosen = {node for node in nodes if node not in matched} if everything_but else matched
    several = next(
        (value.node for node in nodes for value in node.inputs if value.index and value.node in chosen), None
    )
    if several is not None:
        raise MRTError(
            f"node {several.name} ({several.op}): an operator of several outputs cannot be left in float",
            Remedy.RESTORED_NAMES,
        )
    return chosen


def float_node(node: Node, ctx: QuantizeContext) -> QValue:
    """The node computed in float between integer tensors."""
    inputs: list[Value] = []
    for value in node.inputs:
        constant = ctx.constant(value)
        if constant is None:
            inputs.append(_real(ctx, ctx.get(value), node))
        else:
            name = ctx.fresh_name(value.node.name)
            ctx.params[name] = as_param(constant)
            inputs.append(Value(Node("null", name, origin=value.node.origin)))
    computed = Value(replace(node, name=ctx.fresh_name(node.name), inputs=tuple(inputs)))
    target = ctx.target(node)
    scaled = _chain(ctx, computed, [("_mul_scalar", 1 / float(target.scale)), ("_plus_scalar", -target.offset)], node)
    rounded = Value(Node("rint", ctx.fresh_name(f"{node.name}_rint"), (scaled,), {}, node.origin))
    limits = {"a_min": str(-target.limit), "a_max": str(target.limit)}
    stored = Value(Node("clip", ctx.fresh_name(f"{node.name}_clip"), (rounded,), limits, node.origin))
    shape = ctx.annotation.shape(Value(node))
    known = IntValue(stored, shape, target.precision, Range.of(-target.limit, target.limit))
    return QValue(known, target.scale, target.offset)


def _real(ctx: QuantizeContext, q: QValue, node: Node) -> Value:
    """The real value of an integer tensor, by float operators."""
    if q.per_channel is None:
        return _chain(ctx, q.tensor.value, [("_plus_scalar", q.offset), ("_mul_scalar", float(q.scale))], node)
    value = q.tensor.value
    gain, zero = q.per_channel.along(len(q.tensor.shape))
    for op, constant in (("broadcast_add", -zero), ("broadcast_mul", gain)):
        param, name = ctx.fresh_name(f"{node.name}_const"), ctx.fresh_name(f"{node.name}_{op}")
        ctx.params[param] = as_param(constant)
        value = Value(Node(op, name, (value, Value(Node("null", param))), {}, node.origin))
    return value


def _chain(ctx: QuantizeContext, value: Value, steps: Iterable[tuple[str, float]], node: Node) -> Value:
    for op, scalar in steps:
        name = ctx.fresh_name(f"{node.name}{op}")
        value = Value(Node(op, name, (value,), {"scalar": repr(scalar)}, node.origin))
    return value
