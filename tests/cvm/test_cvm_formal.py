"""Running whole models with the reference executor."""

from __future__ import annotations

import struct

import cvm_models as models
import cvm_oracles as oracles
import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal, ops


def test_a_model_equals_its_operators_evaluated_by_the_oracles():
    model = models.small()
    x = models.batch_of(model, 4)
    values = []
    for node in model.nodes:
        if node.is_variable:
            values.append([x if node.name == "data" else model.params[node.name]])
            continue
        attrs = vars(ops.get(node.op).parse(node.attrs))
        values.append(oracles.expected(node.op, attrs, [values[i][k] for i, k in node.inputs]))
    (y,) = formal.run(model, x)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, values[9][0])


def test_batches_are_independent():
    model = models.small(batch=2)
    x = models.batch_of(model, 5)
    (y,) = formal.run(model, x)
    for i in range(5):
        np.testing.assert_array_equal(formal.run(model, x[i : i + 1])[0], y[i : i + 1])


def test_the_input_is_clipped_to_its_precision():
    model = models.chain("negative", {}, precision=4)
    for kind in (np.int8, np.int16, np.uint8, np.int64):
        (y,) = formal.run(model, np.array([[0, 7, 8, 100]], kind))
        np.testing.assert_array_equal(y, [[0, -7, -7, -7]])
    (y,) = formal.run(model, np.array([[-(2**62), -128, -7, 2**62]]))
    np.testing.assert_array_equal(y, [[7, 7, 7, -7]])


@pytest.mark.parametrize("x", [np.zeros((1, 4)), np.zeros((4,), np.int8), np.zeros((1, 5), np.int8)])
def test_a_wrong_input_is_refused(x):
    with pytest.raises(CVMError, match=r"expected integers|expects \(1, 4\)"):
        formal.run(models.chain("relu", {}), x)


def test_a_batch_the_graph_cannot_take_names_the_node():
    model = models.chain("reshape", {"shape": "(2, 2)"})
    assert formal.run(model, np.ones((1, 4), np.int8))[0].shape == (2, 2)
    with pytest.raises(CVMError, match="node 'y' \\(reshape\\)"):
        formal.run(model, np.ones((3, 4), np.int8))
    flexible = models.chain("reshape", {"shape": "(0, 2, -1)"})
    assert formal.run(flexible, np.ones((3, 4), np.int8))[0].shape == (3, 2, 2)


def test_a_batch_whose_sum_could_overflow_is_refused():
    model = models.chain("sum", {"axis": "(0,)"}, precision=31)
    np.testing.assert_array_equal(formal.run(model, np.full((1, 4), 2**30 - 1))[0], [2**30 - 1] * 4)
    with pytest.raises(CVMError, match="node 'y' \\(sum\\): inferred output precision 33"):
        formal.run(model, np.full((2, 4), 2**30 - 1))


def test_keep_sees_every_node_in_order():
    model, seen = models.small(), []
    formal.run(model, models.batch_of(model, 2), lambda node, outputs: seen.append((node.name, outputs[0].shape)))
    assert [name for name, _ in seen] == [node.name for node in model.nodes]
    assert dict(seen)["conv"] == (2, 4, 8, 8)


def test_an_output_may_be_used_by_several_nodes_and_heads():
    nodes = [
        Node("null", "data"),
        Node("negative", "n", ((0, 0),)),
        Node("elemwise_add", "twice", ((1, 0), (1, 0))),
        Node("elemwise_sub", "zero", ((2, 0), (2, 0))),
    ]
    model = Model(nodes, [(1, 0), (0, 0), (3, 0), (1, 0)], {}, {"data": 8}, (1, 3))
    outputs = formal.run(model, np.array([[1, 2, 3]]))
    np.testing.assert_array_equal(np.concatenate(outputs), [[-1, -2, -3], [1, 2, 3], [0, 0, 0], [-1, -2, -3]])


def test_output_bytes_are_int8_up_to_precision_8_and_int32_beyond():
    x = np.array([[1, -2, 3, -127]])
    narrow = models.chain("relu", {})
    assert formal.output_bytes(narrow, formal.run(narrow, x)) == bytes([1, 0, 3, 0])
    wide = models.chain("negative", {}, precision=9)
    assert formal.output_bytes(wide, formal.run(wide, x)) == struct.pack("<4i", -1, 2, -3, 127)


def test_output_bytes_join_heads_row_by_row():
    nodes = [Node("null", "data"), Node("negative", "n", ((0, 0),)), Node("elemwise_add", "s", ((0, 0), (0, 0)))]
    model = Model(nodes, [(1, 0), (2, 0)], {}, {"data": 8}, (1, 2))
    outputs = formal.run(model, np.array([[1, 2], [3, 4]]))
    assert formal.output_bytes(model, outputs) == struct.pack("<8i", -1, -2, 2, 4, -3, -4, 6, 8)
    model.nodes[2] = Node("reshape", "s", ((0, 0),), {"shape": "(-1, 1)"})
    with pytest.raises(CVMError, match="rows"):
        formal.output_bytes(model, formal.run(model, np.array([[1, 2]])))


def test_the_largest_shift_operand_rounds_without_overflow():
    y = ops.get("cvm_right_shift").formal({"precision": "32", "shift_bit": "1"}, [np.array([2**31 - 1], np.int32)])
    np.testing.assert_array_equal(y[0], [2**30])


def test_the_maximum_of_negative_values_is_negative():
    model = models.chain("max", {})
    np.testing.assert_array_equal(formal.run(model, np.array([[-5, -3, -9, -4]]))[0], [-3])
