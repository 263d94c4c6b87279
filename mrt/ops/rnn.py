"""RNN: MXNet's recurrent layers over whole sequences, unrolled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrt.graph import Node, Shape, Value
from mrt.graph.attrs import flag, integer, refuse, text
from mrt.ops.base import Operator, Rewriter
from mrt.ops.concat import stacked
from mrt.ops.filled import FILLED

_GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class _Weights:
    """Of one layer in one direction, each with the rows of all gates."""

    of_input: Value
    of_state: Value
    input_bias: Value
    state_bias: Value


class RNN(Operator):
    """Layers of rnn_relu, rnn_tanh, lstm or gru over (T, N, C), from states of zero."""

    names = ("RNN",)
    summary = "unrolled: FullyConnected, sigmoid and tanh by table, products, sums"
    learned = (1,)
    sized = True

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Plain layers."""
        if text(node, "mode") not in _GATES:
            raise refuse(node, f"mode={text(node, 'mode')} is not supported ({', '.join(_GATES)} are)")
        for key in ("projection_size", "lstm_state_clip_min", "lstm_state_clip_max"):
            if node.attrs.get(key, "None") != "None":
                raise refuse(node, f"{key} is not supported")

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value]:
        """The whole sequence for a layer and a direction, then the next.

        The vector of parameters has the weights of all layers and directions, then their biases; gates are in the order
        in, forget, new, out (lstm) or reset, update, new (gru).
        """
        steps, _, width = rw.shape(node.inputs[0])
        begins = list(inputs[2:])
        if flag(node, "use_sequence_length", False):
            known = rw.constant(begins.pop())
            if known is None or (known < steps).any():
                given = f"use_sequence_length is supported for lengths that are constant and all {steps}"
                raise refuse(node, f"{given}; MXNet itself leaves others out of account on a CPU")
        for state in begins:
            known = rw.constant(state)
            if FILLED.get(state.node.op) != 0.0 and (known is None or known.any()):
                raise refuse(node, "only states that begin with zeros are supported")
        both = flag(node, "bidirectional", False)
        x = rw.op("transpose", inputs[:1], {"axes": (1, 0, 2)})
        ends: list[tuple[Value, Value]] = []
        layers = _weights(node, inputs[1], width, rw)
        for first in range(0, len(layers), 1 + both):
            sequences = []
            for backward in range(1 + both):
                outputs, memory = _unrolled(node, x, layers[first + backward], steps, bool(backward), rw)
                sequences.append(stacked(rw, outputs, 1))
                ends.append((outputs[0 if backward else -1], memory))
            x = rw.op("Concat", sequences, {"dim": 2, "num_args": 2}) if both else sequences[0]
        results = [rw.op("transpose", [x], {"axes": (1, 0, 2)})]
        if flag(node, "state_outputs", False):
            states = zip(*ends) if text(node, "mode") == "lstm" else [[output for output, _ in ends]]
            results += [rw.op("transpose", [stacked(rw, list(each), 1)], {"axes": (1, 0, 2)}) for each in states]
        return results


def _weights(node: Node, vector: Value, width: int, rw: Rewriter) -> list[_Weights]:
    """The parameters, cut from the vector."""
    units = integer(node, "state_size")
    rows = _GATES[text(node, "mode")] * units
    directions = 1 + flag(node, "bidirectional", False)
    start = 0

    def cut(*shape: int) -> Value:
        nonlocal start
        end = start + int(np.prod(shape))
        piece = rw.op("slice_axis", [vector], {"axis": 0, "begin": start, "end": end})
        start = end
        return rw.op("Reshape", [piece], {"shape": shape})

    matrices = [
        (cut(rows, units * directions if layer else width), cut(rows, units))
        for layer in range(integer(node, "num_layers"))
        for _ in range(directions)
    ]
    return [_Weights(*pair, cut(1, rows), cut(1, rows)) for pair in matrices]


def _unrolled(
    node: Node, x: Value, weights: _Weights, steps: int, backward: bool, rw: Rewriter
) -> tuple[list[Value], Value]:
    """The outputs (N, H) of all steps in the order of time, and the last memory (of an lstm)."""
    mode, units = text(node, "mode"), integer(node, "state_size")
    gates = _GATES[mode]
    dense = {"num_hidden": gates * units, "flatten": False}
    bias = weights.input_bias
    if mode != "gru":  # there, the state's own bias is multiplied
        bias = rw.op("elemwise_add", [bias, weights.state_bias])
    bias = rw.op("Reshape", [bias], {"shape": (-1,)})
    all_steps = rw.op("FullyConnected", [x, weights.of_input, bias], {**dense, "no_bias": False})
    state_bias = rw.op("Reshape", [weights.state_bias], {"shape": (-1,)})

    def part(value: Value, gate: int) -> Value:
        return rw.op("slice_axis", [value], {"axis": 1, "begin": gate * units, "end": (gate + 1) * units})

    def add(a: Value, b: Value) -> Value:
        return rw.op("broadcast_add", [a, b])

    def times(a: Value, b: Value) -> Value:
        return rw.op("broadcast_mul", [a, b])

    outputs: list[Value] = []
    state: Value | None = None
    memory: Value | None = None
    for step in reversed(range(steps)) if backward else range(steps):
        now = rw.op("slice_axis", [all_steps], {"axis": 1, "begin": step, "end": step + 1})
        now = rw.op("Reshape", [now], {"shape": (-1, gates * units)})
        if mode == "gru":
            of_state = weights.state_bias
            if state is not None:
                given = [state, weights.of_state, state_bias]
                of_state = rw.op("FullyConnected", given, {**dense, "no_bias": False})
            reset, update = (rw.op("sigmoid", [add(part(now, gate), part(of_state, gate))]) for gate in (0, 1))
            new = rw.op("tanh", [add(part(now, 2), times(reset, part(of_state, 2)))])
            if state is None:
                state = rw.op("broadcast_sub", [new, times(update, new)])
            else:
                state = add(new, times(update, rw.op("broadcast_sub", [state, new])))
        else:
            if state is not None:
                now = add(now, rw.op("FullyConnected", [state, weights.of_state], {**dense, "no_bias": True}))
            if mode == "lstm":
                enter, keep, leave = (rw.op("sigmoid", [part(now, gate)]) for gate in (0, 1, 3))
                entering = times(enter, rw.op("tanh", [part(now, 2)]))
                memory = entering if memory is None else add(times(keep, memory), entering)
                state = times(leave, rw.op("tanh", [memory]))
            else:
                state = rw.op("Activation", [now], {"act_type": mode[len("rnn_") :]})
        outputs.append(state)
    assert state is not None
    return outputs[::-1] if backward else outputs, memory or state
