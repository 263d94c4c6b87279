"""Every operator and attribute variant, from MXNet symbol to compiled model."""

from __future__ import annotations

from typing import Callable

import operator_cases
import pytest
from toolchain import check, compile_network, random_network


@pytest.mark.parametrize("make", operator_cases.parameters())
def test_operator(make: Callable[[], operator_cases.Case]) -> None:
    case = make()
    network = random_network(case.symbol, case.shape, **case.params)
    check(compile_network(network, low=case.low, high=case.high), case.bar)
