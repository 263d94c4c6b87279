"""Adaptive average pooling: the bins' means where they are of one size, a refusal where they are not."""

from __future__ import annotations

import mxnet as mx
import pytest
from operator_cases import conv
from toolchain import check, compile_network, random_network

from mrt.errors import MRTError

SHAPE = (-1, 3, 8, 6)


@pytest.mark.parametrize("size", [None, 1, (1, 1), 2, (4, 3), (8, 6)])
def test_bins_of_one_size(size: object) -> None:
    given = {} if size is None else {"output_size": size}
    symbol = mx.sym.contrib.AdaptiveAvgPooling2D(conv(mx.sym.var("data")), **given)
    check(compile_network(random_network(symbol, SHAPE)), bar=30)


def test_bins_of_different_sizes_are_refused() -> None:
    symbol = mx.sym.contrib.AdaptiveAvgPooling2D(conv(mx.sym.var("data")), output_size=(4, 4), name="bad")
    with pytest.raises(MRTError, match=r"bad.*4x4 does not divide.*8x6"):
        compile_network(random_network(symbol, SHAPE))
