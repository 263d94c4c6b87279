"""Whatever MXNet does with a network for the first time, it does to a child process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from toolchain import random_network

from mrt.advice import advised
from mrt.errors import MRTError
from mrt.executors.child import attempt
from mrt.executors.guarded import first_forward, first_shapes
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Graph

sym = mx.sym
DATA = sym.Variable("data")


def conv(x: Any = DATA, channels: int = 8, **more: Any) -> Any:
    return sym.Convolution(x, num_filter=channels, kernel=(3, 3), pad=(1, 1), **more)


def test_a_child_that_ends_well_says_nothing() -> None:
    assert attempt(lambda: None, 10) is None


def test_a_signal_is_named_with_the_line_before_it(capfd: pytest.CaptureFixture[str]) -> None:
    def abort() -> None:
        os.write(2, b"loading\nCheck failed: size == 3\nstack\n")
        os.kill(os.getpid(), signal.SIGABRT)

    failure = attempt(abort, 10)
    assert failure is not None and failure.died
    assert failure.reason == "it was killed by SIGABRT (Check failed: size == 3)"
    assert capfd.readouterr() == ("", "")


def test_an_exception_is_told_in_one_line() -> None:
    def fail() -> None:
        raise ValueError("first\n  second é")

    failure = attempt(fail, 10)
    assert failure is not None and not failure.died
    assert failure.reason == "first second é"


def test_a_child_that_hangs_is_stopped() -> None:
    failure = attempt(lambda: time.sleep(60), 0.2)
    assert failure is not None and failure.died
    assert failure.reason == "it did not end within 0 s"


def test_nothing_of_the_parent_runs_in_the_child(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    try:
        assert attempt(lambda: None, 10) is None
    finally:
        marker.write_text((marker.read_text() if marker.exists() else "") + "x")
    assert marker.read_text() == "x"


@pytest.mark.parametrize("before", [False, True])
def test_a_network_that_runs_passes_whether_or_not_mxnet_ran_before(before: bool) -> None:
    if before:
        mx.nd.dot(mx.nd.ones((64, 64)), mx.nd.ones((64, 64))).asnumpy()
    network = random_network(sym.FullyConnected(conv(), num_hidden=3), (-1, 1, 8, 8))
    first_shapes(network)
    first_forward(network)


def network_for_one() -> Graph:
    """Two samples have twice as many entries as its Reshape has room for: MXNet aborts the process."""
    reshaped = sym.Reshape(conv(name="c"), shape=(1, 512), name="for_one")
    symbol = sym.FullyConnected(sym.Activation(reshaped, act_type="relu"), num_hidden=10, name="fc")
    shapes, _, _ = symbol.infer_shape(data=(1, 1, 8, 8))
    params = {n: np.ones(s, np.float32) for n, s in zip(symbol.list_arguments(), shapes) if n != "data"}
    return from_symbol(symbol, params, {"data": (-1, 1, 8, 8)})


def test_a_forward_that_kills_the_process_names_the_node() -> None:
    with pytest.raises(MRTError) as caught:
        first_forward(network_for_one())
    assert str(caught.value).startswith(
        "node for_one (Reshape): MXNet itself cannot run the network here: it was killed"
    )
    assert "\n" not in str(caught.value)


def test_shapes_that_kill_the_process_name_the_node() -> None:
    graph = random_network(sym.FullyConnected(conv(num_group=1, name="bad"), num_hidden=3), (-1, 1, 8, 8))

    def no_groups(node: Any, inputs: Any) -> Any:
        if node.name != "bad":
            return None
        node.attrs["num_group"] = "0"
        return None

    broken = graph.rebuild(no_groups)
    with pytest.raises(MRTError, match=r"^node bad \(Convolution\): .*SIGFPE"):
        first_shapes(broken)


def test_what_mxnet_refuses_is_said_with_the_node() -> None:
    graph = random_network(sym.FullyConnected(conv(name="c"), num_hidden=3, name="fc"), (-1, 1, 8, 8))
    wrong = Graph(graph.outputs, {**graph.params, "c_weight": np.zeros((8, 2, 3, 3), np.float32)}, graph.inputs)
    first_shapes(wrong)
    with pytest.raises(MRTError, match=r"operator c: ") as caught:
        first_forward(wrong)
    assert "\n" not in str(caught.value)
    assert advised(caught.value).endswith("; check Input_shape")
