"""Functions by table where they are steep: a 16-bit input leaves the table as the only loss."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from toolchain import check, check_bit_exact, compile_network, random_network, signal_to_noise

from mrt.executors.mxnet import Executor
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.recipe import Recipe

sym = mx.sym
STEEP: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "sqrt": (sym.sqrt, 0.0, 4.0),
    "cbrt": (sym.cbrt, 0.0, 1.0),
    "power": (lambda x: x**0.3, 0.0, 2.0),
    "log": (lambda x: sym.log(x + 1e-2), 0.0, 50.0),
    "rsqrt": (lambda x: sym.rsqrt(x + 1e-2), 0.0, 20.0),
    "reciprocal": (lambda x: sym.reciprocal(x + 0.05), 0.0, 20.0),
    "exp of a wide range": (sym.exp, -40.0, 10.0),
    "third power": (lambda x: x**3, -6.0, 6.0),
    "log near 0": (sym.log, 1e-3, 20.0),
    "chain": (lambda x: 3 - sym.sqrt(sym.log(x + 1.01)), 0.0, 9.0),
}


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("narrow", [False, True])
def test_steep_at_the_start_of_the_range(name: str, narrow: bool) -> None:
    function, low, high = STEEP[name]
    result = function(sym.var("data"))
    if narrow:  # only a convolution reads it, in 8 bits
        result = sym.Convolution(result, num_filter=3, kernel=(1, 1))
    network = random_network(result, (-1, 2, 20, 20))
    compiled = compile_network(network, Recipe(input_precision=16), low=low, high=high)
    check(compiled, bar=35 if narrow else 45)


def test_two_tables_only_where_they_help() -> None:
    counts = {}
    for name, function in (("sqrt", sym.sqrt), ("exp", sym.exp), ("sigmoid", sym.sigmoid)):
        network = random_network(function(sym.var("data")), (-1, 2, 20, 20))
        compiled = compile_network(network, Recipe(input_precision=16), low=0.0, high=4.0)
        check_bit_exact(compiled)
        assert min(signal_to_noise(compiled)) > 45
        counts[name] = sum(node.op == "cvm_lut" for node in compiled.model.nodes)
    assert counts == {"sqrt": 2, "exp": 1, "sigmoid": 1}


UNSEEN: dict[str, Callable[[Any], Any]] = {
    "rsqrt": sym.rsqrt,
    "reciprocal": sym.reciprocal,
    "log": sym.log,
    "sqrt": sym.sqrt,
    "power": lambda x: x**-0.75,
    "tanh": sym.tanh,
}


@pytest.mark.parametrize("name", UNSEEN)
def test_values_beyond_the_calibrated_ones(name: str) -> None:
    """Means of 16 random numbers are all near 2; means of equal ones are not."""
    network = random_network(UNSEEN[name](sym.mean(sym.var("data"), axis=1)), (-1, 16, 10, 10))
    compiled = compile_network(network, Recipe(input_precision=16), low=0.0, high=4.0)
    data = np.repeat(np.linspace(0.5, 4.0, 400, dtype=np.float32).reshape(4, 1, 10, 10), 16, axis=1)
    (found,) = formal.run(compiled.model, quantize_input(data, compiled.quantized.input))
    (expected,) = Executor(network)(data)
    noise = np.square(dequantize(found, compiled.quantized.outputs[0]) - expected).sum()
    assert np.square(expected).sum() / noise > 10**4.5


PRODUCTS: dict[str, Callable[[Any], Any]] = {
    "over itself": lambda x: x * sym.reciprocal(x + 1e-6),
    "by its root": lambda x: x * sym.rsqrt(x + 1e-6),
    "by the length of its rows": lambda x: sym.broadcast_mul(
        x, sym.rsqrt(sym.sum(sym.square(x), axis=1, keepdims=True) + 1e-10)
    ),
    "over the root mean square": lambda x: sym.broadcast_div(
        x, sym.sqrt(sym.mean(sym.square(x), axis=(2, 3), keepdims=True) + 1e-12)
    ),
    "over the sum": lambda x: sym.broadcast_div(x, sym.sum(x, axis=1, keepdims=True) + 1e-6),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_with_what_has_a_pole(name: str) -> None:
    """Half of the values are 0, where the inverse is a million times what it is elsewhere."""
    network = random_network(PRODUCTS[name](sym.Activation(sym.var("data"), act_type="relu")), (-1, 3, 8, 8))
    compiled = compile_network(network, Recipe(input_precision=16))
    check_bit_exact(compiled)
    assert compiled.certificate.ok
    assert signal_to_noise(compiled)[0] > 45


def test_a_norm_by_hand_is_the_operator() -> None:
    by_hand, operator = (
        compile_network(random_network(build(sym.var("data")), (-1, 3, 8, 8))).operators
        for build in (PRODUCTS["by the length of its rows"], lambda x: sym.L2Normalization(x, mode="channel"))
    )
    assert by_hand == operator
