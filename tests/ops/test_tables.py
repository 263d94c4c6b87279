"""Functions by table where they are steep: a 16-bit input leaves the table as the only loss."""

from __future__ import annotations

from typing import Any, Callable

import mxnet as mx
import pytest
from toolchain import check, check_bit_exact, compile_network, random_network, signal_to_noise

from mrt.recipe import Recipe

sym = mx.sym
STEEP: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "sqrt": (sym.sqrt, 0.0, 4.0),
    "cbrt": (sym.cbrt, 0.0, 1.0),
    "power": (lambda x: x**0.3, 0.0, 2.0),
    "log": (lambda x: sym.log(x + 1e-2), 0.0, 50.0),
    "rsqrt": (lambda x: sym.rsqrt(x + 1e-2), 0.0, 20.0),
    "reciprocal": (lambda x: sym.reciprocal(x + 0.05), 0.0, 20.0),
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
