"""Adaptive average pooling: the bins' means whether of one size or not."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import pytest
from operator_cases import conv
from toolchain import check, compile_network, random_network

SHAPE = (-1, 3, 8, 6)


@pytest.mark.parametrize("size", [None, 1, (1, 1), 2, (4, 3), (8, 6)])
def test_bins_of_one_size(size: object) -> None:
    given = {} if size is None else {"output_size": size}
    symbol = mx.sym.contrib.AdaptiveAvgPooling2D(conv(mx.sym.var("data")), **given)
    check(compile_network(random_network(symbol, SHAPE)), bar=30)


@pytest.mark.parametrize("size", [(4, 4), 5, (3, 6), (8, 4), (11, 9)])
@pytest.mark.parametrize("after", [conv, None])
def test_bins_of_different_sizes(size: object, after: Any) -> None:
    pooled = mx.sym.contrib.AdaptiveAvgPooling2D(mx.sym.relu(conv(mx.sym.var("data"))), output_size=size)
    check(compile_network(random_network(after(pooled) if after else pooled, SHAPE)), bar=30)
