"""The twins of the target's operators on MXNet, against `cvm.formal` on random legal uses, and what damaged notes give."""

from __future__ import annotations

import cvm.ops
import numpy as np
import pytest
from cvm.errors import CVMError
from cvm_cases import Case, make, ranged_inputs

from mrt.errors import MRTError
from mrt.executors.equivalents import _OF_TARGET
from mrt.executors.mxnet import Executor
from mrt.executors.symbol import to_symbol
from mrt.executors.twin import restored, twin
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Graph, Node, Value, target_operator

WANTED = 25


def emitted(case: Case, inputs: list[np.ndarray]) -> bool:
    """Whether MRT emits such a node: attributes that it leaves alone, and divisors that are not 0."""
    attrs, shapes = case.attrs, case.shapes
    return not (
        attrs.get("exclude") == "True"
        or (case.op in ("sum", "max", "squeeze", "transpose") and attrs["axes" if case.op == "transpose" else "axis"] == "()")
        or (case.op in ("sum", "max") and attrs["keepdims"] == "False" and len(eval(attrs["axis"])) == len(shapes[0]))
        or (case.op == "squeeze" and len(eval(attrs["axis"])) == len(shapes[0]))
        or attrs.get("num_newaxis", "1") != "1"
        or attrs.get("axis") == "None"
        or attrs.get("max_output_size", "-1") != "-1"
        or (case.op == "where" and shapes[0] != shapes[1])
        or (case.op == "strided_slice" and any(value < 0 for key in attrs for value in eval(attrs[key])))
        or (case.op == "upsampling" and False)
        or (case.op == "get_valid_counts" and shapes[0][2] != 6)
        or (case.op == "broadcast_div" and not inputs[1].all())
        or (case.op == "max_pool2d" and len(eval(attrs["padding"])) != 2)
    )


def graph_of(case: Case) -> Graph:
    """The case as a graph with one input per operand."""
    operands = [Value(Node("null", f"x{i}")) for i in range(len(case.shapes))]
    node = Node(target_operator(case.op), "y", tuple(operands), case.attrs)
    outputs = tuple(Value(node, index) for index in range(cvm.ops.get(case.op).outputs))
    return Graph(outputs, {}, {f"x{i}": shape for i, shape in enumerate(case.shapes)})


@pytest.mark.parametrize("op", sorted(_OF_TARGET))
def test_mxnet_computes_what_the_target_specifies(op: str) -> None:
    rng = np.random.default_rng(7)
    done = 0
    for _ in range(2000):
        case = make(op, rng)
        _, inputs = ranged_inputs(case, rng)
        if not emitted(case, inputs):
            continue
        try:
            expected = cvm.ops.get(op).formal(case.attrs, inputs)
        except CVMError:
            continue  # a value beyond 32 bits
        found = Executor(graph_of(case), dtype="float64")({f"x{i}": array for i, array in enumerate(inputs)})
        for a, b in zip(found, expected):
            assert a.shape == b.shape, case
            np.testing.assert_array_equal(a, b, err_msg=str(case))
        done += 1
        if done == WANTED:
            break
    assert done == WANTED
