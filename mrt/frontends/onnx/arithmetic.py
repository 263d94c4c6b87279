"""Sums, products, powers and other arithmetic of entries."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from mrt.frontends.onnx.builder import Builder
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, constant, require_no_wrap, unary
from mrt.frontends.onnx.values import BOOL, FLOAT, INT, SMALL, Known, Live, Operand


def _binary(op: str) -> Rule:
    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        require_no_wrap(node)
        x, y = node.given(0), node.given(1)
        return [broadcast(op, x, _by_old_axis(node, x, y), b)]

    return rule


def _by_old_axis(node: OnnxNode, x: Operand, y: Operand) -> Operand:
    """Before opset 7, the second operand's axes began at one of the first's."""
    if node.opset < 7 and node.integer("broadcast", 0) and "axis" in node.attrs:
        raise node.refuse("broadcasting from an axis, as before opset 7, is not supported")
    return y


def _div(node: OnnxNode, b: Builder) -> list[Operand]:
    require_no_wrap(node)
    result = broadcast("broadcast_div", node.given(0), node.given(1), b)
    return [b.op("trunc", [result], scalar=not result.one) if result.kind == INT else result]


def _pow(node: OnnxNode, b: Builder) -> list[Operand]:
    require_no_wrap(node)
    x, y = node.given(0), node.given(1)
    if isinstance(y, Known) and y.fixed and y.one.size == 1 and isinstance(x, Live) and y.rank <= x.rank:
        exponent = float(y.one.reshape(-1)[0])
        simple = {1.0: "identity", 2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}.get(exponent)
        if simple:
            return [b.op(simple, [x], scalar=not x.one)]
    return [broadcast("broadcast_power", x, y, b)]


def _mod(node: OnnxNode, b: Builder) -> list[Operand]:
    """mod has the sign of the divisor, as MXNet's; fmod that of what is divided."""
    require_no_wrap(node)
    x, y = node.given(0), node.given(1)
    if isinstance(y, Live) and y.kind == FLOAT:
        raise node.refuse("a divisor that is a real number of the network's data is not supported")
    if isinstance(y, Known) and not (np.isfinite(y.one) & (y.one != 0)).all():
        raise node.refuse("a divisor of 0 or infinity is not supported")
    if isinstance(x, Known) and not np.isfinite(x.one).all():
        raise node.refuse("dividing infinity is not supported")
    if not node.integer("fmod", 0):
        return [broadcast("broadcast_mod", x, y, b)]
    absolute = [Known(np.abs(v.one), None) if isinstance(v, Known) else b.op("abs", [v]) for v in (x, y)]
    rest = broadcast("broadcast_mod", absolute[0], absolute[1], b)
    sign = x if isinstance(x, Live) else None
    if sign is None:
        raise node.refuse("fmod of a constant is not supported")
    return [broadcast("broadcast_mul", b.op("sign", [sign]), rest, b)]


def _many(op: str, last: Callable[[Live, int, Builder], Live] | None = None) -> Rule:
    """Max, Min, Sum and Mean of any number of tensors."""

    def rule(node: OnnxNode, b: Builder) -> list[Operand]:
        require_no_wrap(node)
        operands = [node.given(position) for position in range(len(node.inputs))]
        operands.sort(key=lambda operand: isinstance(operand, Known))  # a sum of constants alone would be none of ours
        if isinstance(operands[0], Known):
            raise node.refuse("it has no input from the network's data")
        result = reduce(lambda x, y: broadcast(op, x, y, b), operands[1:], operands[0])
        assert isinstance(result, Live)
        result = last(result, len(operands), b) if last else result
        return [b.op("identity", [result], scalar=not result.one) if result is operands[0] else result]

    return rule


def _mean(x: Live, count: int, b: Builder) -> Live:
    return b.scaled(x, 1 / count)


def _round(node: OnnxNode, b: Builder) -> list[Operand]:
    """Halves go to the even neighbour: floor(x + 0.5), less 1 where that is odd and x was half-way."""
    x = node.live(0)
    up = b.scaled(x, 1, 0.5)
    whole = b.op("floor", [up])
    half = broadcast("broadcast_equal", up, whole, b)
    odd = b.op("_mod_scalar", [whole], {"scalar": 2.0})
    return [broadcast("broadcast_sub", whole, broadcast("broadcast_mul", half, odd, b), b)]


def _clip(node: OnnxNode, b: Builder) -> list[Operand]:
    """Bounds are attributes before opset 11, inputs since; the lower one yields where they cross."""
    require_no_wrap(node)
    x = node.live(0)
    if node.opset < 11:
        bounds: list[Operand | None] = [
            constant(node.number(key)) if key in node.attrs else None for key in ("min", "max")
        ]
    else:
        bounds = [node.given(position) if node.has(position) else None for position in (1, 2)]
    low, high = bounds
    if all(bound is None or (isinstance(bound, Known) and bound.fixed) for bound in bounds):
        numbers = [float(bound.one.reshape(-1)[0]) if isinstance(bound, Known) else None for bound in bounds]
        if None not in numbers and numbers[0] <= numbers[1]:  # type: ignore[operator]
            return [b.op("clip", [x], {"a_min": numbers[0], "a_max": numbers[1]}, scalar=not x.one)]
    if low is not None:
        x = broadcast("broadcast_maximum", x, low, b)
    if high is not None:
        x = broadcast("broadcast_minimum", x, high, b)
    return [b.op("identity", [x], scalar=not x.one) if low is None and high is None else x]


def _cast(node: OnnxNode, b: Builder) -> list[Operand]:
    """Among floats nothing; to integers towards zero; to truth values what is not zero."""
    import onnx

    source = node.given(0)
    if isinstance(source, Known):  # cast like the network's data
        return [source]
    if not isinstance(source, Live):
        raise node.refuse("what it casts is left out")
    if node.op == "CastLike":
        like = node.given(1)
        if not isinstance(like, (Live, Known)):
            raise node.refuse("what it casts like is left out")
        target = like.kind if isinstance(like, Live) else FLOAT
    else:
        target = _TARGETS.get(onnx.TensorProto.DataType.Name(node.integer("to")), "")
    if target == "":
        raise node.refuse("casting to this type is not supported")
    if target == source.kind or (target in (FLOAT, INT) and source.kind in (BOOL, SMALL)):
        result = b.op("identity", [source], kind=target, scalar=not source.one)
    elif target == BOOL:
        result = b.op("_not_equal_scalar", [source], {"scalar": 0.0}, BOOL, scalar=not source.one)
    elif target == INT:
        result = b.op("trunc", [source], kind=INT, scalar=not source.one)
    elif target == FLOAT:
        result = b.op("identity", [source], kind=FLOAT, scalar=not source.one)
    else:
        raise node.refuse("casting to integers of 8 or 16 bits is not supported")
    return [result]


_TARGETS = {
    "FLOAT": FLOAT,
    "DOUBLE": FLOAT,
    "INT32": INT,
    "INT64": INT,
    "BOOL": BOOL,
    "UINT8": SMALL,
    "INT8": SMALL,
    "INT16": SMALL,
    "UINT16": SMALL,
}


def _cumsum(node: OnnxNode, b: Builder) -> list[Operand]:
    """As a product with a triangle of ones."""
    x = node.live(0)
    axis = node.in_rank(int(node.array(1).reshape(-1)[0]), x.rank)
    if axis == x.batch:
        raise node.refuse("sums along the batch are not supported")
    size = x.one[axis]
    ones = np.tril(np.ones((size, size)), -1 if node.integer("exclusive", 0) else 0)
    weight = ones.T if node.integer("reverse", 0) else ones
    last = [i for i in range(x.rank) if i != axis] + [axis]
    moved = b.transpose(x, last)
    attrs = {"num_hidden": size, "no_bias": True, "flatten": False}
    from mrt.frontends.onnx.builder import known

    summed = b.op("FullyConnected", [moved, known(weight)], attrs, kind=x.kind)
    return [b.transpose(summed, [last.index(i) for i in range(x.rank)])]


TABLE: dict[str, Rule] = {
    "Add": _binary("broadcast_add"),
    "Sub": _binary("broadcast_sub"),
    "Mul": _binary("broadcast_mul"),
    "Div": _div,
    "Pow": _pow,
    "Mod": _mod,
    "Max": _many("broadcast_maximum"),
    "Min": _many("broadcast_minimum"),
    "Sum": _many("broadcast_add"),
    "Mean": _many("broadcast_add", _mean),
    "Neg": unary("negative"),
    "Abs": unary("abs"),
    "Sqrt": unary("sqrt"),
    "Exp": unary("exp"),
    "Log": unary("log"),
    "Reciprocal": unary("reciprocal"),
    "Sign": unary("sign"),
    "Floor": unary("floor"),
    "Ceil": unary("ceil"),
    "Round": _round,
    "Sin": unary("sin"),
    "Cos": unary("cos"),
    "Tan": unary("tan"),
    "Asin": unary("arcsin"),
    "Acos": unary("arccos"),
    "Atan": unary("arctan"),
    "Sinh": unary("sinh"),
    "Cosh": unary("cosh"),
    "Asinh": unary("arcsinh"),
    "Acosh": unary("arccosh"),
    "Atanh": unary("arctanh"),
    "Erf": unary("erf"),
    "Clip": _clip,
    "Cast": _cast,
    "CastLike": _cast,
    "CumSum": _cumsum,
}
