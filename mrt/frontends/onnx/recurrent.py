"""Recurrent layers, unrolled over the steps of their sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mrt.frontends.onnx.builder import Builder, known
from mrt.frontends.onnx.matmul import dense
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.rules import Rule, broadcast
from mrt.frontends.onnx.values import Live, Operand
from mrt.graph import Array

_Function = Callable[[Builder, Live], Live]
_FUNCTIONS: dict[str, _Function] = {
    "Sigmoid": lambda b, x: b.op("sigmoid", [x]),
    "Tanh": lambda b, x: b.op("tanh", [x]),
    "Relu": lambda b, x: b.op("relu", [x]),
    "Softsign": lambda b, x: b.op("softsign", [x]),
    "Softplus": lambda b, x: b.op("Activation", [x], {"act_type": "softrelu"}),
}
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULT = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


@dataclass(frozen=True)
class _Direction:
    """One direction of a layer.

    Attributes:
        w: weights of the input (gates * H, I).
        r: of the state (gates * H, H).
        wb: bias of the input.
        rb: of the state.
        p: peepholes, 3 * H, or None.
        f: the activation functions.
        h: the state to begin with; None for zeros.
        c: likewise, the memory of an LSTM.
        backward: whether the sequence is read from its end.
    """

    w: Array
    r: Array
    wb: Array
    rb: Array
    p: Array | None
    f: Sequence[_Function]
    h: Live | None
    c: Live | None
    backward: bool


def _rule(node: OnnxNode, b: Builder) -> list[Operand]:
    """X (T, N, I), W, R, B, sequence_lens, initial_h, initial_c, P; Y (T, D, N, H), Y_h and Y_c (D, N, H)."""
    x, w, r = node.live(0), node.array(1), node.array(2)
    units, gates, batch_first = r.shape[2], _GATES[node.op], bool(node.integer("layout", 0))
    if not batch_first:
        x = b.transpose(x, (1, 0, 2))
    steps = x.one[1]
    if x.batch == 1 or "clip" in node.attrs or node.integer("input_forget", 0):
        raise node.refuse("a batch of steps, clip and input_forget are not supported")
    if node.has(4) and (node.array(4) != steps).any():
        raise node.refuse("sequences of different lengths (sequence_lens) are not supported")
    way = node.text("direction", "forward")
    if way not in ("forward", "reverse", "bidirectional") or len(w) != 1 + (way == "bidirectional"):
        raise node.refuse(f"direction={way} does not fit weights of shape {w.shape}")
    bias = node.array(3, np.zeros((len(w), 2 * gates * units)))
    peepholes = node.array_or_none(7) if node.op == "LSTM" else None
    ends, wholes = [], []
    for number in range(len(w)):
        split = gates * units
        direction = _Direction(
            w[number],
            r[number],
            bias[number][:split],
            bias[number][split:],
            None if peepholes is None or not peepholes.any() else peepholes[number],
            _functions(node, number),
            _state(node, b, 5, number, batch_first),
            _state(node, b, 6, number, batch_first) if node.op == "LSTM" else None,
            way == "reverse" or number == 1,
        )
        outputs, memory = _unrolled(node, b, x, direction, steps, units)
        ends.append((outputs[0 if direction.backward else -1], memory))
        wholes.append(outputs)
    return _results(node, b, wholes, ends, batch_first)


def _functions(node: OnnxNode, number: int) -> list[_Function]:
    given = node.attrs.get("activations")
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in given] if given else []
    count = len(_DEFAULT[node.op])
    names = (names or _DEFAULT[node.op] * 2)[number * count : (number + 1) * count]
    by_name = {name.lower(): function for name, function in _FUNCTIONS.items()}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown or len(names) != count:
        raise node.refuse(f"activations={names} are not supported ({', '.join(_FUNCTIONS)} are)")
    return [by_name[name.lower()] for name in names]


def _state(node: OnnxNode, b: Builder, position: int, number: int, batch_first: bool) -> Live | None:
    """The state (N, H) that a direction begins with; None for zeros."""
    if not node.has(position):
        return None
    given = node.given(position)
    state = b.live(given)
    if not isinstance(given, Live) and not node.known(position).one.any():
        return None
    axis = 1 if batch_first else 0
    return _one(b, state, axis, number)


def _one(b: Builder, x: Live, axis: int, place: int) -> Live:
    """The entries at a place of an axis, without the axis."""
    cut = x if x.one[axis] == 1 and x.batch != axis else b.slice(x, axis, place, place + 1)
    return b.reshape(cut, lambda shape: (*shape[:axis], *shape[axis + 1 :]))


def _unrolled(
    node: OnnxNode, b: Builder, x: Live, d: _Direction, steps: int, units: int
) -> tuple[list[Live], Live | None]:
    """The outputs in the sequence's order, and the memory after the last step that was made."""
    cell = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}[node.op]
    linear = node.op == "GRU" and bool(node.integer("linear_before_reset", 0))
    bias = d.wb + d.rb
    if node.op == "GRU":
        bias = np.concatenate([bias[: 2 * units], d.wb[2 * units :]])
    through = dense(b, x, d.w, bias)
    h, c = d.h, d.c
    outputs: list[Live] = []
    order = range(steps - 1, -1, -1) if d.backward else range(steps)
    for step in order:
        h, c = cell(b, _one(b, through, 1, step), h, c, d, units, linear)
        outputs.append(h)
    return (outputs[::-1] if d.backward else outputs), c


def _gate(b: Builder, x: Live, number: int, units: int) -> Live:
    return b.slice(x, 1, number * units, (number + 1) * units)


def _plus(b: Builder, x: Live, y: Live | None) -> Live:
    return x if y is None else b.op("broadcast_add", [x, y])


def _times(b: Builder, x: Live, y: Live) -> Live:
    return b.op("broadcast_mul", [x, y])


def _rnn(
    b: Builder, x: Live, h: Live | None, c: Live | None, d: _Direction, units: int, linear: bool
) -> tuple[Live, Live | None]:
    total = _plus(b, x, None if h is None else dense(b, h, d.r))
    return d.f[0](b, total), None


def _lstm(
    b: Builder, x: Live, h: Live | None, c: Live | None, d: _Direction, units: int, linear: bool
) -> tuple[Live, Live | None]:
    """Gates in ONNX's order: in, out, forget, new; peepholes in the order in, out, forget."""
    total = _plus(b, x, None if h is None else dense(b, h, d.r))
    into, out, forget, new = (_gate(b, total, number, units) for number in range(4))

    def seen(gate: Live, memory: Live | None, number: int) -> Live:
        if d.p is None or memory is None:
            return gate
        weight = known(d.p[number * units : (number + 1) * units].reshape(1, -1))
        return _plus(b, gate, broadcast("broadcast_mul", memory, weight, b))

    memory = _times(b, d.f[0](b, seen(into, c, 0)), d.f[1](b, new))
    if c is not None:
        memory = _plus(b, _times(b, d.f[0](b, seen(forget, c, 2)), c), memory)
    return _times(b, d.f[0](b, seen(out, memory, 1)), d.f[2](b, memory)), memory


def _gru(
    b: Builder, x: Live, h: Live | None, c: Live | None, d: _Direction, units: int, linear: bool
) -> tuple[Live, Live | None]:
    """Gates in ONNX's order: update, reset, new."""
    rows, rb = d.r[: 2 * units], d.rb[2 * units :]
    both = b.slice(x, 1, 0, 2 * units)
    both = _plus(b, both, None if h is None else dense(b, h, rows))
    update, reset = d.f[0](b, _gate(b, both, 0, units)), d.f[0](b, _gate(b, both, 1, units))
    new = _gate(b, x, 2, units)
    if linear:
        recurrent: Operand = known(rb.reshape(1, -1)) if h is None else dense(b, h, d.r[2 * units :], rb)
        new = _plus(b, new, broadcast("broadcast_mul", reset, recurrent, b))
    else:
        inner = None if h is None else dense(b, _times(b, reset, h), d.r[2 * units :])
        new = broadcast("broadcast_add", _plus(b, new, inner), known(rb.reshape(1, -1)), b)
    new = d.f[1](b, new)
    kept = _times(b, b.op("_rminus_scalar", [update], {"scalar": 1.0}), new)
    return (kept if h is None else _plus(b, kept, _times(b, update, h))), None


def _results(
    node: OnnxNode,
    b: Builder,
    wholes: Sequence[Sequence[Live]],
    ends: Sequence[tuple[Live, Live | None]],
    batch_first: bool,
) -> list[Operand]:
    """Y, Y_h and Y_c; of those that nothing reads, whatever is at hand."""
    wanted = [*node.outputs, "", "", ""][:3]
    results: list[Operand] = []
    for position in range(max(1, len(node.outputs))):
        if not wanted[position]:
            results.append(ends[0][0])
        elif position == 0:  # (T, D, N, H), or (N, T, D, H)
            axis, length = (1 if batch_first else 0), len(wholes[0])
            steps = [_stacked(b, [whole[step] for whole in wholes], axis) for step in range(length)]
            results.append(_stacked(b, steps, 1 if batch_first else 0))
        else:
            last = [end[position - 1] for end in ends]
            results.append(_stacked(b, [each for each in last if each is not None], 1 if batch_first else 0))
    return results


def _stacked(b: Builder, parts: Sequence[Live], axis: int) -> Live:
    """The parts side by side along a new axis."""
    wide = [b.reshape(part, lambda shape: (*shape[:axis], 1, *shape[axis:])) for part in parts]
    return wide[0] if len(wide) == 1 else b.op("Concat", wide, {"dim": axis, "num_args": len(wide)})


TABLE: dict[str, Rule] = {"RNN": _rule, "GRU": _rule, "LSTM": _rule}
