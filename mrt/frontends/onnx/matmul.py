"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast, of_rank, require_no_wrap
from mrt.frontends.onnx.values import Known, Live, Operand
from mrt.graph import Array


def dense(b: Builder, x: Live, weight: Array, bias: Array | None = None) -> Live:
    """x times the transpose of weights (O, I), along x's last axis."""
    attrs = {"num_hidden": len(weight), "no_bias": bias is None, "flatten": False}
    return b.op("FullyConnected", [x, known(weight), *([] if bias is None else [known(bias)])], attrs)


def _matmul(node: OnnxNode, b: Builder) -> list[Operand]:
    require_no_wrap(node)
    return [product(node, b, node.given(0), node.given(1))]


def product(node: OnnxNode, b: Builder, x: Operand, y: Operand) -> Live:
    """NumPy's matmul of two operands."""
    ranks = [operand.rank for operand in (x, y) if isinstance(operand, (Known, Live))]
    if len(ranks) < 2 or 0 in ranks:
        raise node.refuse("single numbers cannot be multiplied so")
    if ranks[0] == 1:
        result = product(node, b, of_rank(x, 2, b), y)
        return _without_axis(b, result, result.rank - 2)
    if ranks[1] == 1:
        result = product(node, b, x, _column(b, y))
        return _without_axis(b, result, result.rank - 1)
    if isinstance(y, Known) and y.fixed and _is_matrix(y.one) and isinstance(x, Live):
        _require_match(node, x.one[-1], y.one.shape[-2])
        flat = dense(b, x, y.one.reshape(y.one.shape[-2:]).T)
        return of_rank_live(b, flat, max(ranks))
    if isinstance(x, Known) and x.fixed and _is_matrix(x.one) and isinstance(y, Live):
        _require_match(node, x.one.shape[-1], y.one[-2])
        turned = dense(b, _swapped(b, y), x.one.reshape(x.one.shape[-2:]))
        return of_rank_live(b, _swapped(b, turned), max(ranks))
    return _batched(node, b, b.live(of_rank(x, max(ranks), b)), b.live(of_rank(y, max(ranks), b)))


def of_rank_live(b: Builder, x: Live, rank: int) -> Live:
    """With axes of one entry before its own."""
    return b.reshape(x, lambda shape: (1,) * (rank - len(shape)) + shape)


def _is_matrix(array: Array) -> bool:
    return prod(array.shape[:-2]) == 1


def _require_match(node: OnnxNode, a: int, b: int) -> None:
    if a != b:
        raise node.refuse(f"rows of {a} entries cannot be multiplied with columns of {b}")


def _column(b: Builder, y: Operand) -> Operand:
    if isinstance(y, Known):
        return Known(y.one[:, None], None if y.two is None else y.two[:, None])
    assert isinstance(y, Live)
    return b.reshape(y, lambda shape: (*shape, 1))


def _without_axis(b: Builder, x: Live, axis: int) -> Live:
    return b.reshape(x, lambda shape: tuple(size for i, size in enumerate(shape) if i != axis))


def _swapped(b: Builder, x: Live) -> Live:
    axes = list(range(x.rank))
    return b.transpose(x, [*axes[:-2], axes[-1], axes[-2]])


def _batched(node: OnnxNode, b: Builder, x: Live, y: Live) -> Live:
    """Matrices side by side, those of either operand repeated as they broadcast."""
    _require_match(node, x.one[-1], y.one[-2])
    try:
        np.broadcast_shapes(x.one[:-2], y.one[:-2])
    except ValueError:
        raise node.refuse(f"the shapes {x.one} and {y.one} do not fit together") from None
    if x.rank == 2:
        return _without_axis(b, _batched(node, b, of_rank_live(b, x, 3), of_rank_live(b, y, 3)), 0)
    x, y = _repeated(b, x, y), _repeated(b, y, x)
    flat = [b.reshape(each, lambda shape: (prod(shape[:-2]), *shape[-2:])) for each in (x, y)]
    result = b.op("batch_dot", flat)
    one = (*x.one[:-2], x.one[-2], y.one[-1])
    two = None if x.two is None or y.two is None else (*x.two[:-2], x.two[-2], y.two[-1])
    return b.reshape_to(result, one, two)


def _repeated(b: Builder, x: Live, like: Live) -> Live:
    for axis in range(x.rank - 2):
        if like.batch == axis and x.batch != axis:
            x = b.op("broadcast_add", [x, b.zeros(x.rank, axis)])
        elif x.one[axis] == 1 and like.one[axis] > 1:
            x = b.op("broadcast_axis", [x], {"axis": axis, "size": like.one[axis]})
    return x


def _gemm(node: OnnxNode, b: Builder) -> list[Operand]:
    """alpha * A B + beta * C."""
    require_no_wrap(node)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    operands: list[Operand] = []
    for position, key in enumerate(("transA", "transB")):
        operand = node.given(position)
        if not isinstance(operand, (Live, Known)) or operand.rank != 2:
            raise node.refuse(f"input {position} is no matrix")
        operands.append(_turned(operand, b) if node.integer(key, 0) else operand)
    x, y = operands
    shift = node.given(2) if node.has(2) else None
    if isinstance(x, Live) and isinstance(y, Known) and y.fixed:
        weight = alpha * y.one.T
        bias = _bias(shift, len(weight))
        _require_match(node, x.one[1], weight.shape[1])
        result = dense(b, x, weight, None if bias is None else beta * bias)
        if bias is not None:
            return [result]
    else:
        result = b.scaled(product(node, b, x, y), alpha)
    if shift is not None and beta:
        if isinstance(shift, Known):
            shift = Known(beta * shift.one, None if shift.two is None else beta * shift.two)
        else:
            shift = b.scaled(b.live(shift), beta)
        result = broadcast("broadcast_add", result, shift, b)
    return [result]


def _turned(operand: Live | Known, b: Builder) -> Operand:
    if isinstance(operand, Known):
        return Known(operand.one.T, None if operand.two is None else operand.two.T)
    return b.transpose(operand, (1, 0))


def _bias(shift: Operand | None, units: int) -> Array | None:
    """C as one number per unit, where it is that."""
    if not isinstance(shift, Known) or not shift.fixed:
        return None
    array = shift.one
    if array.ndim > 2 or (array.ndim == 2 and array.shape[0] != 1) or array.size not in (1, units):
        return None
    return np.broadcast_to(array.reshape(-1), (units,)).copy()


def _einsum(node: OnnxNode, b: Builder) -> list[Operand]:
    """Of one or two operands without repeated letters, by transposes, sums and a product of matrices."""
    equation = node.text("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if "." in equation or len(terms) != len(node.inputs) or len(terms) > 2 or any(len(set(t)) < len(t) for t in terms):
        raise node.refuse(f"equation={equation} is not supported")
    if not arrow:
        letters = sorted(set(left) - {","})
        right = "".join(letter for letter in letters if left.count(letter) == 1)
    operands = [b.live(node.given(position)) for position in range(len(terms))]
    if any(len(term) != operand.rank for term, operand in zip(terms, operands)):
        raise node.refuse(f"equation={equation} does not fit its inputs")
    for position, (term, operand) in enumerate(zip(terms, operands)):
        others = set(right).union(*(t for i, t in enumerate(terms) if i != position))
        gone = [axis for axis, letter in enumerate(term) if letter not in others]
        if gone:
            operands[position] = b.op("sum", [operand], {"axis": tuple(gone)}, scalar=len(gone) == len(term))
            terms[position] = "".join(letter for letter in term if letter in others)
    if len(terms) == 1:
        return [b.transpose(operands[0], [terms[0].index(letter) for letter in right])]
    return [_contracted(node, b, operands, terms, right)]


def _contracted(node: OnnxNode, b: Builder, operands: Sequence[Live], terms: Sequence[str], right: str) -> Live:
    both = [letter for letter in terms[0] if letter in terms[1]]
    batch, inner = [c for c in both if c in right], [c for c in both if c not in right]
    rows, columns = ([c for c in term if c not in both] for term in terms)
    x = b.transpose(operands[0], [terms[0].index(c) for c in (*batch, *rows, *inner)])
    y = b.transpose(operands[1], [terms[1].index(c) for c in (*batch, *inner, *columns)])
    n, r, k = len(batch), len(rows), len(inner)
    x_flat = b.reshape(x, lambda s: (prod(s[:n]), prod(s[n : n + r]), prod(s[n + r :])))
    y_flat = b.reshape(y, lambda s: (prod(s[:n]), prod(s[n : n + k]), prod(s[n + k :])))
    result = b.op("batch_dot", [x_flat, y_flat])
    one = (*x.one[: n + r], *y.one[n + k :])
    two = None if x.two is None or y.two is None else (*x.two[: n + r], *y.two[n + k :])
    made = [*batch, *rows, *columns]
    return b.transpose(b.reshape_to(result, one, two), [made.index(letter) for letter in right])


TABLE: dict[str, Rule] = {"MatMul": _matmul, "Gemm": _gemm, "Einsum": _einsum}
