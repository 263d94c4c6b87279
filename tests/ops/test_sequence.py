"""Sequences of which each sample has a length of its own, or none has: all in masks, and as MXNet computes them."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest

import mrt
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends.reading import network_of_symbol
from mrt.graph import Array, Graph

sym = mx.sym
COUNT, PLACES, WIDTH = 64, 6, 5
DATA, LENGTHS = sym.Variable("data"), sym.Variable("valid_length")
PLACES_FIRST = sym.transpose(DATA, axes=(1, 0, 2))


def dense(x: Any) -> Any:
    return sym.FullyConnected(x, num_hidden=4, flatten=False)


def backwards(x: Any, *lengths: Any) -> Any:
    return sym.SequenceReverse(x, *lengths, use_sequence_length=bool(lengths))


def lstm(x: Any, name: str) -> Any:
    states = [sym.zeros((1, 0, 3)), sym.zeros((1, 0, 3))]
    return sym.RNN(x, sym.Variable(name), *states, state_size=3, num_layers=1, mode="lstm")


def both_ways() -> Any:
    """A reader of text as people unroll it: backwards over each sequence's own end."""
    backward = backwards(lstm(backwards(PLACES_FIRST, LENGTHS), "backward"), LENGTHS)
    joined = sym.Concat(lstm(PLACES_FIRST, "forward"), backward, dim=2)
    return dense(sym.SequenceLast(joined, LENGTHS, use_sequence_length=True))


NETWORKS = {
    "last": lambda: dense(sym.SequenceLast(dense(PLACES_FIRST))),
    "last, samples first": lambda: dense(sym.SequenceLast(dense(DATA), axis=1)),
    "reverse": lambda: sym.SwapAxis(dense(backwards(dense(PLACES_FIRST))), dim1=0, dim2=1),
    "mask that masks nothing": lambda: dense(sym.SequenceMask(dense(DATA), axis=1)),
    "last of each": lambda: dense(sym.SequenceLast(dense(PLACES_FIRST), LENGTHS, use_sequence_length=True)),
    "reverse of each": lambda: sym.SwapAxis(dense(backwards(dense(PLACES_FIRST), LENGTHS)), dim1=0, dim2=1),
    "reverse of rank 2": lambda: sym.SwapAxis(
        backwards(sym.SwapAxis(sym.FullyConnected(DATA, num_hidden=PLACES), dim1=0, dim2=1), LENGTHS), dim1=0, dim2=1
    ),
    "mask of each": lambda: dense(sym.SequenceMask(dense(PLACES_FIRST), LENGTHS, use_sequence_length=True)),
    "mask of each by a value": lambda: sym.SequenceMask(
        dense(DATA), LENGTHS, use_sequence_length=True, axis=1, value=-3
    ),
    "both ways": both_ways,
}


def network_of(symbol: Any) -> Graph:
    inputs = {name: (-1,) if name == "valid_length" else (-1, PLACES, WIDTH) for name in ("data", "valid_length")}
    inputs = {name: shape for name, shape in inputs.items() if name in symbol.list_arguments()}
    sizes = {name: tuple(4 if d == -1 else d for d in shape) for name, shape in inputs.items()}
    shapes, _, _ = symbol.infer_shape(**sizes)
    random = np.random.default_rng(0)
    params = {
        name: (random.normal(size=size) / np.sqrt(size[-1] if len(size) > 1 else 4)).astype(np.float32)
        for name, size in zip(symbol.list_arguments(), shapes)
        if name not in inputs
    }
    return network_of_symbol(symbol, params, inputs if len(inputs) > 1 else inputs["data"], "network")


def data_of(network: Graph, seed: int) -> Any:
    random = np.random.default_rng(seed)
    data: dict[str, Array] = {"data": random.normal(size=(COUNT, PLACES, WIDTH)).astype(np.float32)}
    if "valid_length" not in network.inputs:
        return data["data"]
    return {**data, "valid_length": random.integers(1, PLACES + 1, COUNT)}


@pytest.mark.parametrize("name", NETWORKS)
def test_sequences(name: str) -> None:
    network = network_of(NETWORKS[name]())
    model = mrt.quantize(network, data_of(network, 1))
    assert np.min(model.sqnr(data_of(network, 2))) > 30
    assert not any("sequence" in node.op.lower() for node in model.prepared.nodes())


def test_lengths_beyond_the_sequence_do_no_harm() -> None:
    """MXNet itself writes beyond the tensor then."""
    for name in ("last of each", "reverse of each", "mask of each"):
        network = network_of(NETWORKS[name]())
        data = data_of(network, 1)
        legal = {**data, "valid_length": np.full(COUNT, PLACES)}
        beyond = {**data, "valid_length": np.full(COUNT, 10**6)}
        for expected, found in zip(Executor(network)(legal), Executor(network)(beyond)):
            np.testing.assert_array_equal(expected, found)


def test_a_sequence_along_the_batch_is_refused() -> None:
    network = network_of(dense(sym.SequenceLast(DATA)))
    with pytest.raises(MRTError, match=r"\(SequenceLast\): a sequence over the batch axis is not supported"):
        mrt.quantize(network, data_of(network, 1))
