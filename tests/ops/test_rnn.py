"""MXNet's fused recurrent layers: the same as unrolled, in integers."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from operator_cases import constant, dense
from toolchain import check, compile_network, pictures, random_network

from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.transform import PREPARE, PassManager, Validate

sym = mx.sym
STEPS, WIDTH, UNITS = 3, 6, 7


def recurrent(x: Any, mode: str, layers: int = 1, **more: Any) -> Any:
    """Over (N, T, C), as gluon.rnn's layers do it for layout NTC."""
    directions = 2 if more.get("bidirectional") else 1
    states = {"state": sym.zeros((layers * directions, 0, UNITS))}
    if mode == "lstm":
        states["state_cell"] = sym.zeros((layers * directions, 0, UNITS))
    attrs = {"state_size": UNITS, "num_layers": layers, "mode": mode, "name": "rnn", **more}
    return sym.RNN(sym.swapaxes(x, 0, 1), sym.var("w"), **states, **attrs)


def network(output: Any) -> Any:
    return random_network(output, (-1, STEPS, WIDTH))


@pytest.mark.parametrize("mode", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
def test_every_kind(mode: str, layers: int, bidirectional: bool) -> None:
    outputs = recurrent(sym.var("data"), mode, layers, bidirectional=bidirectional)
    check(compile_network(network(dense(sym.swapaxes(outputs, 0, 1)))), bar=25)


@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_last_states(mode: str) -> None:
    outputs = recurrent(sym.var("data"), mode, 2, state_outputs=True)
    batch_first = [sym.swapaxes(output, 0, 1) for output in outputs]
    check(compile_network(network(sym.Group(batch_first))), bar=25)


def test_a_state_that_is_not_zero_is_refused() -> None:
    states = {"state": constant("s", (1, 2, UNITS))}
    output = sym.RNN(
        sym.swapaxes(sym.var("data"), 0, 1),
        sym.var("w"),
        **states,
        state_size=UNITS,
        num_layers=1,
        mode="gru",
        name="bad",
    )
    with pytest.raises(MRTError, match=r"node bad \(RNN\): only states that begin with zeros"):
        PassManager(PREPARE).run(random_network(output, (2, STEPS, WIDTH)))


def test_clipped_memories_are_refused() -> None:
    clipped = recurrent(sym.var("data"), "lstm", lstm_state_clip_min=-1, lstm_state_clip_max=1)
    with pytest.raises(MRTError, match=r"node rnn \(RNN\): lstm_state_clip_min is not supported"):
        PassManager([Validate()]).run(network(clipped))


def with_lengths(length: int) -> Any:
    """A recurrent layer whose two sequences have a length that is a constant."""
    output = recurrent(sym.var("data"), "lstm", sequence_length=constant("s", (2,)), use_sequence_length=True)
    plain = random_network(dense(sym.swapaxes(output, 0, 1)), (2, STEPS, WIDTH))
    return Graph(plain.outputs, {**plain.params, "s": np.full(2, length, np.float32)}, plain.inputs)


def test_lengths_that_are_those_of_the_whole_sequence() -> None:
    network = with_lengths(STEPS)
    prepared, data = PassManager(PREPARE).run(network), pictures(network, 2, 1)
    assert "s" not in prepared.params
    np.testing.assert_allclose(Executor(prepared)(data)[0], Executor(network)(data)[0], rtol=1e-5, atol=1e-6)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(
        MRTError, match=r"node rnn \(RNN\): use_sequence_length is supported for .* constant and all 3;"
    ):
        PassManager(PREPARE).run(with_lengths(STEPS - 1))
