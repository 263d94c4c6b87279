"""The twins of the target's operators on MXNet, against `cvm.formal` on random legal uses; notes that are damaged."""

from __future__ import annotations

from ast import literal_eval
from dataclasses import replace
from typing import Any

import cvm.ops
import numpy as np
import pytest
from cvm.errors import CVMError
from cvm_cases import Case, make, ranged_inputs

from mrt.errors import MRTError
from mrt.executors.equivalents import TARGETED
from mrt.executors.mxnet import Executor
from mrt.executors.twin import restored, twin
from mrt.graph import Array, Graph, Node, Value, target_operator

WANTED = 25


def emitted(case: Case, inputs: list[Array]) -> bool:
    """Whether MRT emits such a node: it names axes, leaves some attributes alone, and never divides by 0."""
    op, shape = case.op, case.shapes[0]
    given: dict[str, Any] = {key: literal_eval(value) for key, value in case.attrs.items()}
    if op in ("sum", "max", "squeeze") and not 0 < len(given["axis"]) < len(shape):
        return False
    if op == "strided_slice" and min(value for each in given.values() for value in each) < 0:
        return False
    defaults = {"exclude": False, "num_newaxis": 1, "max_output_size": -1}
    return (
        all(given.get(key, default) == default for key, default in defaults.items())
        and (op != "transpose" or min(given["axes"], default=-1) >= 0)
        and not (op == "tile" and len(shape) + len(given["reps"]) > 5)  # MXNet's own limit
        and given.get("axis", 0) is not None
        and len(given.get("padding", (0, 0))) == 2
        and not (op == "where" and shape != case.shapes[1])
        and not (op == "get_valid_counts" and shape[2] != 6)
        and not (op == "broadcast_div" and not inputs[1].all())
    )


def graph_of(case: Case) -> Graph:
    """The case as a graph with one input per operand."""
    operands = tuple(Value(Node("null", f"x{i}")) for i in range(len(case.shapes)))
    node = Node(target_operator(case.op), "y", operands, case.attrs)
    outputs = tuple(Value(node, index) for index in range(cvm.ops.get(case.op).outputs))
    return Graph(outputs, {}, {f"x{i}": shape for i, shape in enumerate(case.shapes)})


@pytest.mark.parametrize("op", sorted(TARGETED))
def test_mxnet_computes_what_the_target_specifies(op: str) -> None:
    rng = np.random.default_rng(7)
    done = 0
    for _ in range(2000):
        case = make(op, rng)
        _, inputs = ranged_inputs(case, rng)
        if done == WANTED or not emitted(case, inputs):
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
    assert done == WANTED


@pytest.mark.parametrize("op", ["cvm_right_shift", "cvm_left_shift"])
def test_every_shift_rounds_as_the_target_does(op: str) -> None:
    """Halves and their neighbours, by each number of bits."""
    for shift in range(1, 32):
        half = 1 << (shift - 1) if op == "cvm_right_shift" else 1
        near = np.concatenate([half * k + np.arange(-1, 2) for k in (-129, -5, -3, -1, 0, 1, 3, 5, 127)])
        x = near[abs(near) < 2 ** (31 if op == "cvm_right_shift" else 31 - shift)].astype(np.int32)
        case = Case(op, {"precision": "32", "shift_bit": str(shift)}, [x.shape], [32])
        (expected,) = cvm.ops.get(op).formal(case.attrs, [x])
        (found,) = Executor(graph_of(case), dtype="float64")({"x0": x})
        np.testing.assert_array_equal(found, expected, err_msg=str(shift))


@pytest.mark.parametrize("note", ["{", "[]", '{"op": "cvm.relu"}', '{"op": "relu", "attrs": {}, "inputs": ["z"]}'])
def test_a_damaged_note_is_refused_by_node(note: str) -> None:
    node = Node("cvm.relu", "y", (Value(Node("null", "x")),))
    graph = twin(Graph((Value(node),), {}, {"x": (-1, 2)}))
    damaged = Value(replace(graph.outputs[0].node, attrs={"act_type": "relu", "__mrt__": note}))
    with pytest.raises(MRTError, match=r"^node y: what MRT noted of it is damaged"):
        restored(Graph((damaged,), {}, graph.inputs))
