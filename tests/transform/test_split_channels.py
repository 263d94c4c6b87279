"""Outlier channels in parts: a dense layer behind gelu, one of whose channels is large at one of the positions."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from cvm import formal

from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.gather import gather
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import quantize
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager
from mrt.transform.split_channels import SplitChannels
from mrt.transform.split_choice import find_splits

INPUTS, HIDDEN = 32, 512
OUTLIER = 7


def samples(count: int, seed: int) -> np.ndarray:
    """Each of eight positions; the first number is large at the first, as that of a sentence's first token is."""
    x = np.random.default_rng(seed).normal(0, 1, (count, 8, INPUTS)).astype(np.float32)
    x[:, :, 0] = 0
    x[:, 0, 0] = 1
    return x


def prepared(outlier: float) -> Graph:
    random = np.random.default_rng(0)
    inner = random.normal(0, INPUTS**-0.5, (HIDDEN, INPUTS))
    inner[OUTLIER] = 0
    inner[OUTLIER, 0] = outlier
    params = {"inner": inner, "outer": random.normal(0, HIDDEN**-0.5, (10, HIDDEN))}
    params = {name: array.astype(np.float32) for name, array in params.items()}
    hidden = mx.sym.FullyConnected(
        mx.sym.var("data"), mx.sym.var("inner"), num_hidden=HIDDEN, no_bias=True, flatten=False
    )
    hidden = mx.sym.LeakyReLU(hidden, act_type="gelu")
    symbol = mx.sym.FullyConnected(hidden, mx.sym.var("outer"), num_hidden=10, no_bias=True, flatten=False)
    return PassManager(PREPARE).run(mxnet_files.from_symbol(symbol, params, {"data": (-1, 8, INPUTS)}))


def noise(graph: Graph) -> float:
    """Of the integers on samples that nothing was chosen on, as a part of the outputs' power."""
    data, unseen = samples(32, 1), samples(32, 2)
    quantized = quantize(graph, calibrate(graph, [data]), None, gather(graph, [data]))
    integers = quantize_input(unseen, quantized.input)
    (found,) = formal.run(compile_model(quantized), integers)
    np.testing.assert_array_equal(found, Executor(quantized.graph, dtype="float64")(integers)[0])
    (expected,) = Executor(graph)(unseen)
    return float(np.square(dequantize(found, quantized.outputs[0]) - expected).sum() / np.square(expected).sum())


def test_parts_of_an_outlier_take_off_most_of_the_noise() -> None:
    graph, data = prepared(40.0), samples(32, 1)
    found = find_splits(graph, data)
    (parts,) = found.values()
    assert parts.argmax() == OUTLIER and parts.sum() == HIDDEN + 8
    split = PassManager([SplitChannels(found)], verify=data).run(graph)  # which changes nothing of what it computes
    assert noise(split) < noise(graph) / 4


def test_without_outliers_there_are_no_parts() -> None:
    assert find_splits(prepared(1.0), samples(32, 1)) == {}
