"""Networks whose input are row numbers of a table."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from toolchain import random_network

from mrt.calibrate.calibrator import calibrate
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph.batch import Samples
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import Quantized, QuantizeSettings, quantize
from mrt.run.batching import in_pieces
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager

ROWS, SIZE, WORDS = 300, 8, 5
sym = mx.sym


def embedding(x: Any) -> Any:
    return sym.Embedding(x, input_dim=ROWS, output_dim=SIZE, name="words")


def take(x: Any) -> Any:
    return sym.take(sym.Variable("words_weight", shape=(ROWS, SIZE)), x, axis=0)


def dense(x: Any) -> Any:
    return sym.FullyConnected(x, num_hidden=4, name="classes")


BUILDS = {
    "dense": ((-1, WORDS), lambda x: dense(embedding(x))),
    "take": ((-1, WORDS), lambda x: dense(take(x))),
    "wide": ((-1, WORDS), lambda x: sym.sum(embedding(x), axis=1)),
    "moved-first": ((WORDS, -1), lambda x: dense(embedding(sym.transpose(x, axes=(1, 0))))),
}


def quantized(name: str, precision: int = 10) -> tuple[Any, Quantized, Any]:
    shape, build = BUILDS[name]
    network = random_network(build(sym.Variable("data")), shape)
    numbers = np.random.default_rng(0).integers(0, ROWS, (64, WORDS)).astype(np.float32)
    data = numbers if shape[0] == -1 else numbers.T
    prepared = PassManager(PREPARE, verify=data[:, :2] if shape[1] == -1 else data[:2]).run(network)
    return network, quantize(prepared, calibrate(prepared, [data]), QuantizeSettings(precision)), data


@pytest.mark.parametrize("name", ["dense", "take", "wide", "moved-first"])
def test_row_numbers_stay_as_they_are(name: str) -> None:
    network, result, data = quantized(name)
    assert result.input.scale == 1
    integers = quantize_input(data, result.input)
    assert np.array_equal(integers, data)
    (expected,), (found,) = Executor(network)(data), Executor(result.graph, dtype="float64")(integers)
    noise = np.square(expected - dequantize(found, result.outputs[0])).sum()
    assert 10 * np.log10(np.square(expected).sum() / noise) > 35


@pytest.mark.parametrize("name", ["dense", "take", "wide", "moved-first"])
def test_numbers_of_any_size_give_the_same_integers_on_both_executors(name: str) -> None:
    _, result, data = quantized(name)
    model = compile_model(result)
    beyond = np.random.default_rng(1).integers(-(2**9) + 1, 2**9, data.shape).astype(np.int32)
    run = in_pieces(lambda x: formal.run(model, np.asarray(x)), Samples(result.graph.inputs), 1)
    (expected,), (found,) = Executor(result.graph, dtype="float64")(beyond), run(beyond)
    np.testing.assert_array_equal(expected, found)


def test_the_table_must_be_within_the_inputs_precision() -> None:
    with pytest.raises(MRTError, match="has 300 rows, but the input's precision ends at 127"):
        quantized("dense", precision=8)


def test_computed_row_numbers_are_refused() -> None:
    x = sym.Variable("data")
    network = random_network(dense(embedding(sym.FullyConnected(x, num_hidden=3, name="inner"))), (-1, WORDS))
    data = np.random.default_rng(0).uniform(0, 9, (16, WORDS)).astype(np.float32)
    prepared = PassManager(PREPARE).run(network)
    with pytest.raises(MRTError, match="row numbers are computed"):
        quantize(prepared, calibrate(prepared, [data]))


@pytest.mark.parametrize(
    ("options", "reason"), [({"axis": 1}, "only rows of a table"), ({"mode": "wrap"}, "mode=wrap is not supported")]
)
def test_other_takes_are_refused(options: dict[str, Any], reason: str) -> None:
    table = sym.Variable("words_weight", shape=(ROWS, SIZE))
    network = random_network(sym.take(table, sym.Variable("data"), **options), (-1, WORDS))
    with pytest.raises(MRTError, match=reason):
        PassManager(PREPARE).run(network)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("size", "count"), [(1, 3), (4, 3), (2, 5), (5, 5)])
def test_in_pieces_runs_every_sample_once_in_order(axis: int, size: int, count: int) -> None:
    data = np.arange(2 * count).reshape((count, 2) if axis == 0 else (2, count))

    def run(piece: Any) -> list[Any]:
        assert piece.shape[axis] == size
        return [piece.sum(axis=1 - axis), np.moveaxis(piece, axis, 0) * 10]

    total, tens = in_pieces(run, Samples({"data": (-1, 2) if axis == 0 else (2, -1)}), size)(data)
    np.testing.assert_array_equal(total, data.sum(axis=1 - axis))
    np.testing.assert_array_equal(tens, np.moveaxis(data, axis, 0) * 10)
