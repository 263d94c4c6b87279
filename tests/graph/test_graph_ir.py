"""The graph: names, rebuilding, printing, shapes."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from graph_networks import digits_like, from_parameters
from toolchain import random_network

from mrt.errors import MRTError
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Graph, Namer, Node, Value, origins
from mrt.graph.show import show

sym = mx.sym


def test_nodes_come_before_their_users_in_a_deterministic_order() -> None:
    graph = random_network(digits_like(), (-1, 1, 8, 8))
    order = graph.nodes()
    assert order == graph.nodes()
    position = {node: index for index, node in enumerate(order)}
    assert all(position[value.node] < position[node] for node in order for value in node.inputs)


def test_a_very_deep_graph_is_walked_without_recursion() -> None:
    value = Value(Node("null", "x"))
    for index in range(5000):
        value = Value(Node("relu", f"relu{index}", (value,)))
    graph = Graph((value,), {}, {"x": (-1, 2)})
    assert len(graph.nodes()) == 5001
    assert len(graph.rebuild(lambda node, inputs: None).nodes()) == 5001


def test_two_nodes_of_one_name_are_refused() -> None:
    x = Value(Node("null", "x"))
    twin = Value(Node("relu", "twin", (Value(Node("relu", "twin", (x,))),)))
    with pytest.raises(MRTError, match="node twin: two nodes of the graph have this name"):
        Graph((twin,), {}, {"x": (-1, 2)}).pruned()


def test_a_variable_that_is_neither_input_nor_parameter_is_refused() -> None:
    lost = [Value(Node("null", name)) for name in ("lost", "lost_too")]
    with pytest.raises(MRTError, match=r"^variable lost: neither an input nor in the parameters file \(and 1 more\)$"):
        Graph((Value(Node("elemwise_add", "sum", tuple(lost))),), {}, {}).pruned()


def test_pruning_drops_what_nothing_reads() -> None:
    x = Value(Node("null", "x"))
    graph = Graph((x,), {"unused": np.zeros(1)}, {"x": (-1, 2), "label": (-1,)}).pruned()
    assert graph.params == {}
    assert graph.inputs == {"x": (-1, 2)}


def test_rebuilding_replaces_outputs_one_by_one_and_leaves_the_original_alone() -> None:
    x = Value(Node("null", "x"))
    parts = Node("SliceChannel", "parts", (x,), {"num_outputs": "2", "axis": "1"})
    graph = Graph((Value(parts, 1), Value(parts, 0)), {}, {"x": (-1, 2)})
    slices = [
        Value(Node("slice_axis", f"part{i}", (x,), {"axis": "1", "begin": str(i), "end": str(i + 1)})) for i in (0, 1)
    ]
    rebuilt = graph.rebuild(lambda node, inputs: slices if node is parts else None)
    data = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    for before, after in zip(Executor(graph)(data), Executor(rebuilt)(data)):
        np.testing.assert_array_equal(before, after)
    assert [node.name for node in graph.nodes()] == ["x", "parts"]


def test_rebuilding_keeps_untouched_nodes_themselves() -> None:
    graph = random_network(digits_like(), (-1, 1, 8, 8))
    assert graph.rebuild(lambda node, inputs: None).nodes() == graph.nodes()


def test_names_are_unique() -> None:
    x = Node("null", "x")
    namer = Namer(Graph((Value(x),), {}, {"x": (1,)}))
    assert [namer("x"), namer("x"), namer("y"), namer("x_1")] == ["x_1", "x_2", "y", "x_1_1"]


def test_origins_are_joined_in_order() -> None:
    nodes = [Node("relu", "a", origin=("p", "q")), Node("relu", "b", origin=("q", "r"))]
    assert origins(nodes) == ("p", "q", "r")


def test_uses_count_readers_and_outputs() -> None:
    x = Value(Node("null", "x"))
    total = Value(Node("elemwise_add", "total", (x, x)))
    graph = Graph((total, x), {}, {"x": (-1, 2)})
    assert graph.use_counts() == {x: 3, total: 1}
    assert graph.consumers() == {x: [total.node, total.node]}


def test_dynamic_nodes_depend_on_an_input() -> None:
    symbol = sym.broadcast_add(
        sym.Variable("data"), sym.broadcast_mul(sym.Variable("a"), sym.Variable("b")), name="out"
    )
    graph = from_parameters(symbol, {"a": np.ones((1, 2)), "b": np.ones((1, 2))}, {"data": (-1, 2)})
    assert {node.name for node in graph.dynamic()} == {"data", "out"}


def test_shapes_fill_in_the_batch() -> None:
    graph = random_network(digits_like(), (-1, 1, 8, 8))
    for batch in (1, 5):
        shapes = infer_shapes(graph, batch)
        assert shapes[graph.outputs[0]] == (batch, 10)
        assert {shape[0] for value, shape in shapes.items() if value.node in graph.dynamic()} == {batch}


@pytest.mark.parametrize("shape", [(-1, 3, 8, 8), (-1, 1, 4, 4), (-1, 8), (-1, 1, 8, 8, 8)])
def test_a_wrong_input_shape_is_refused_in_one_line(shape: tuple[int, ...], capfd: Any) -> None:
    graph = random_network(digits_like(), (-1, 1, 8, 8))
    with pytest.raises(MRTError, match=r"the shapes of the network (do not fit together|cannot be inferred)") as caught:
        infer_shapes(Graph(graph.outputs, graph.params, {"data": shape}))
    assert "\n" not in str(caught.value)
    assert "Stack trace" not in str(caught.value)
    assert str(shape) in str(caught.value)


def test_data_of_a_wrong_shape_is_refused_in_one_line() -> None:
    graph = random_network(digits_like(), (-1, 1, 8, 8))
    with pytest.raises(MRTError, match=r"MXNet cannot run the network on input \{'data': \(2, 3, 8, 8\)\}") as caught:
        Executor(graph)(np.zeros((2, 3, 8, 8), np.float32))
    assert "\n" not in str(caught.value)


def test_running_takes_any_batch_and_any_inner_outputs() -> None:
    graph = random_network(digits_like(), (-1, 1, 8, 8))
    data = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    inner = [Value(node) for node in graph.nodes() if not node.is_variable]
    *_, last = Executor(graph, inner)(data)
    np.testing.assert_allclose(np.concatenate([Executor(graph)(data[i : i + 1])[0] for i in range(5)]), last, atol=1e-5)


def test_printing_shows_every_node_with_shape_attributes_and_origin() -> None:
    x = Value(Node("null", "x", origin=("x",)))
    weight = Value(Node("null", "w", origin=("w",)))
    dense = Value(Node("FullyConnected", "dense", (x, weight), {"num_hidden": "3", "no_bias": "True"}, ("dense", "bn")))
    graph = Graph((dense,), {"w": np.ones((3, 2), np.float32)}, {"x": (-1, 2)})
    assert show(graph, infer_shapes(graph)).splitlines() == [
        "x: input -> (1, 2)",
        "w: param -> (3, 2)",
        "dense = FullyConnected(x, w) {num_hidden=3, no_bias=True} -> (1, 3)  # dense, bn",
        "outputs: dense",
    ]
    assert "->" not in show(graph)
