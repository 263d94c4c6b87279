"""Each prepare pass on small graphs: what it leaves, against MXNet, and where nodes came from."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from toolchain import pictures, random_network

from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Graph, Node
from mrt.transform import (
    PREPARE,
    ClampFirst,
    FoldAffine,
    FoldConstants,
    FoldPad,
    FuseFunctions,
    Pass,
    PassManager,
    RewriteOperators,
    SplitDeconvolution,
    Validate,
)
from mrt.transform.drop_labels import DropLabels

sym = mx.sym
IMAGE = (-1, 4, 8, 7)


def operators(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes() if not node.is_variable]


def node(graph: Graph, op: str) -> Node:
    (found,) = (node for node in graph.nodes() if node.op == op)
    return found


def apply(graph: Graph, *passes: Pass) -> Graph:
    """The passes' result, the same on MXNet as the graph before; the graph before is left as it was."""
    data = pictures(graph, 3, 0)
    before = graph.nodes()
    result = PassManager(passes).run(graph)
    assert graph.nodes() == before
    for expected, found in zip(Executor(graph)(data), Executor(result)(data)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max()))
    assert {name for node in result.nodes() for name in node.origin} <= {
        name for node in before for name in node.origin
    }
    return result


def conv(x: Any, **more: Any) -> Any:
    return sym.Convolution(x, **{"num_filter": 6, "kernel": (3, 3), "name": "conv", **more})


DATA = sym.Variable("data")


def test_batchnorm_becomes_part_of_the_convolution_before_it() -> None:
    symbol = sym.BatchNorm(conv(DATA, no_bias=True), fix_gamma=False, name="bn")
    result = apply(random_network(symbol, IMAGE), RewriteOperators(), FoldAffine())
    assert operators(result) == ["Convolution"]
    folded = node(result, "Convolution")
    assert folded.name == "conv"
    assert folded.origin == ("conv", "bn")
    assert folded.attrs["no_bias"] == "False"
    assert len(result.params) == 2


@pytest.mark.parametrize("no_bias", [True, False])
def test_affine_chains_become_part_of_the_layer_before_them(no_bias: bool) -> None:
    scale = sym.Variable("scale", shape=(1, 6, 1, 1))
    symbol = sym.broadcast_mul((conv(DATA, no_bias=no_bias) * 2 + 1) / 3 - 4, scale)
    assert operators(apply(random_network(symbol, IMAGE), RewriteOperators(), FoldAffine())) == ["Convolution"]
    dense = sym.FullyConnected(DATA, num_hidden=5, flatten=False, no_bias=no_bias) * -2 + 3
    assert operators(apply(random_network(dense, (-1, 9)), RewriteOperators(), FoldAffine())) == ["FullyConnected"]


@pytest.mark.parametrize("shape", [(1, 1, 1, 5), (1, 1, 6, 1), (1, 6, 6, 5), (6, 5)])
def test_constants_that_vary_over_the_picture_stay(shape: tuple[int, ...]) -> None:
    symbol = sym.broadcast_mul(conv(DATA), sym.Variable("scale", shape=shape))
    assert operators(apply(random_network(symbol, IMAGE), FoldAffine())) == ["Convolution", "broadcast_mul"]


def test_a_layer_with_other_readers_is_left_alone() -> None:
    layer = conv(DATA)
    symbol = sym.Group([sym.broadcast_mul(layer, sym.Variable("scale", shape=(1, 6, 1, 1))), sym.identity(layer)])
    result = apply(random_network(symbol, IMAGE), RewriteOperators(), FoldAffine())
    assert operators(result) == ["Convolution", "broadcast_mul"]


def test_layers_that_share_weights_are_folded_apart() -> None:
    weight, bias = sym.Variable("w", shape=(4, 4, 3, 3)), sym.Variable("b", shape=(4,))
    first = sym.Convolution(DATA, weight, bias, num_filter=4, kernel=(3, 3), name="first") * 2
    second = sym.Convolution(first, weight, bias, num_filter=4, kernel=(3, 3), name="second") * 3
    result = apply(random_network(second, IMAGE), RewriteOperators(), FoldAffine())
    assert operators(result) == ["Convolution", "Convolution"]


def test_constants_without_a_layer_merge_into_one_multiplication_and_one_addition() -> None:
    symbol = ((sym.Activation(DATA, act_type="relu") + 1) * 2 + 3) * 0.5 - 1
    result = apply(random_network(symbol, IMAGE), RewriteOperators(), FoldAffine())
    assert operators(result) == ["Activation", "broadcast_mul", "broadcast_add"]


def test_what_does_not_depend_on_the_input_becomes_a_parameter() -> None:
    offset = sym.broadcast_mul(sym.ones((1, 4, 1, 1)), sym.Variable("a", shape=(1, 4, 1, 1))) + 2
    parts = sym.SliceChannel(sym.Variable("b", shape=(1, 8, 1, 1)), num_outputs=2, axis=1)
    symbol = sym.broadcast_add(sym.broadcast_add(DATA, offset), parts[1])
    result = apply(random_network(symbol, IMAGE), FoldConstants())
    assert operators(result) == ["broadcast_add", "broadcast_add"]
    assert len(result.params) == 2


def test_a_graph_without_constants_is_returned_as_it_is() -> None:
    graph = random_network(conv(DATA), IMAGE)
    assert FoldConstants().run(graph) is graph


@pytest.mark.parametrize(
    ("width", "layer", "kernel"),
    [
        ((1, 1, 2, 2), {}, (3, 3)),
        ((0, 1, 0, 1), {"stride": (2, 2)}, (4, 4)),
        ((2, 0, 0, 1), {"pad": (1, 0)}, (5, 4)),
        ((0, 2, 2, 0), {"dilate": (2, 2)}, (4, 4)),
        ((0, 1, 0, 0), {"num_group": 2}, (4, 3)),
    ],
)
def test_zero_padding_becomes_part_of_the_convolution(
    width: tuple[int, ...], layer: dict[str, Any], kernel: tuple[int, int]
) -> None:
    padded = sym.Pad(DATA, mode="constant", pad_width=(0, 0, 0, 0, *width), name="pad")
    result = apply(random_network(conv(padded, **layer), IMAGE), FoldPad())
    assert operators(result) == ["Convolution"]
    folded = node(result, "Convolution")
    assert folded.attrs["kernel"] == str(kernel)
    assert folded.origin == ("pad", "conv")


@pytest.mark.parametrize(
    ("padding", "layer"),
    [
        ({"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 1, 1, 1)}, {}),
        ({"mode": "constant", "pad_width": (0, 0, 0, 0, 1, 1, 1, 1), "constant_value": 1}, {}),
        ({"mode": "constant", "pad_width": (0, 0, 0, 0, 0, 1, 0, 0)}, {"dilate": (2, 2)}),
    ],
)
def test_other_padding_stays(padding: dict[str, Any], layer: dict[str, Any]) -> None:
    result = apply(random_network(conv(sym.Pad(DATA, **padding), **layer), IMAGE), FoldPad())
    assert operators(result) == ["Pad", "Convolution"]


def test_padding_that_others_read_too_is_kept_for_them() -> None:
    padded = sym.Pad(DATA, mode="constant", pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
    symbol = sym.Group([conv(padded), sym.Activation(padded, act_type="relu")])
    assert sorted(operators(apply(random_network(symbol, IMAGE), FoldPad()))) == ["Activation", "Convolution", "Pad"]


def test_rewriting_leaves_only_simple_operators() -> None:
    x = sym.SliceChannel(sym.LeakyReLU(conv(DATA), act_type="leaky", name="act"), num_outputs=2, name="parts")
    symbol = sym.mean(sym.add_n(x[0], x[1], x[0]), axis=(2, 3), name="gap")
    result = apply(random_network(symbol, IMAGE), RewriteOperators())
    assert set(operators(result)) == {
        "Convolution", "Activation", "broadcast_mul", "elemwise_add", "slice", "sum",
    }  # fmt: skip
    origins = {node.op: node.origin for node in result.nodes()}
    assert origins["Activation"] == ("act",)
    assert origins["slice"] == ("parts",)
    assert origins["sum"] == ("gap",)


def test_validation_names_the_first_operator_that_cannot_be_compiled() -> None:
    graph = random_network(sym.Correlation(conv(DATA), conv(DATA, name="other"), name="match"), IMAGE)
    with pytest.raises(MRTError, match=r"^pass validate: node match \(Correlation\): this operator is not supported"):
        PassManager([Validate()]).run(graph)


def test_validation_names_what_mxnet_cannot_run() -> None:
    up = sym.Deconvolution(DATA, kernel=(4, 4), stride=(2, 2), num_filter=3, target_shape=(14, 12), name="up")
    with pytest.raises(MRTError, match=r"node up \(Deconvolution\): target_shape"):
        PassManager([Validate()]).run(random_network(up, IMAGE))


def up(x: Any, kernel: int, stride: int, **more: Any) -> Any:
    return sym.Deconvolution(
        x, **{"kernel": (kernel,) * 2, "stride": (stride,) * 2, "num_filter": 6, "name": "up", **more}
    )


@pytest.mark.parametrize(("kernel", "stride", "count"), [(2, 2, 1), (4, 2, 1), (3, 2, 4), (3, 1, 1), (5, 3, 9)])
def test_deconvolutions_become_convolutions_without_zeros(kernel: int, stride: int, count: int) -> None:
    graph = random_network(up(DATA, kernel, stride), IMAGE)
    result = apply(graph, RewriteOperators(), SplitDeconvolution())
    layers = [node for node in result.nodes() if node.op == "Convolution"]
    assert len(layers) == count
    weights = [result.params[layer.inputs[1].node.name] for layer in layers]
    assert sum(weight.size for weight in weights) == graph.params["up_weight"].size
    assert all(weight.all() for weight in weights)


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_and_relu_join_a_deconvolution(groups: int) -> None:
    norm = sym.BatchNorm(up(DATA, 4, 2, pad=(1, 1), num_group=groups), fix_gamma=False)
    result = apply(random_network(sym.Activation(norm, act_type="relu"), IMAGE), *PREPARE)
    consumers = result.consumers()
    readers = {user.op for value, users in consumers.items() if value.node.op == "Convolution" for user in users}
    assert readers == {"Activation"}
    assert not {"broadcast_mul", "broadcast_add"} & set(operators(result))


def test_clamps_come_before_what_moves() -> None:
    moved = sym.transpose(sym.Concat(conv(DATA), conv(DATA, name="other"), dim=1), axes=(0, 2, 3, 1))
    result = apply(random_network(sym.clip(moved, 0, 6), IMAGE), ClampFirst())
    assert operators(result) == ["Convolution", "clip", "Convolution", "clip", "Concat", "transpose"]


def test_clamps_stay_behind_what_others_read_too() -> None:
    shared = sym.transpose(conv(DATA), axes=(0, 2, 3, 1))
    graph = random_network(sym.Group([sym.Activation(shared, act_type="relu"), shared]), IMAGE)
    assert operators(apply(graph, ClampFirst())) == operators(graph)


def test_functions_of_functions_are_one() -> None:
    mish = sym.tanh(2 * sym.log(sym.maximum(sym.exp(0.5 * conv(DATA)), 0.1) + 1)) * 3
    result = apply(random_network(mish, IMAGE), RewriteOperators(), FuseFunctions())
    assert operators(result) == ["Convolution", "broadcast_mul", "mrt_chain", "broadcast_mul"]
    assert set(node(result, "mrt_chain").origin) >= {
        n.name for n in random_network(mish, IMAGE).nodes() if n.op in ("exp", "log", "tanh")
    }


def test_functions_that_others_read_too_stay() -> None:
    inner = sym.exp(DATA)
    result = apply(random_network(sym.log(inner + 1) + inner, IMAGE), RewriteOperators(), FuseFunctions())
    assert {"exp", "log"} <= set(operators(result))


def test_validation_does_not_mind_constants() -> None:
    table = sym.topk(sym.Variable("a", shape=(1, 4, 1, 1)), axis=1, k=1)
    graph = random_network(sym.broadcast_add(DATA, table), IMAGE)
    assert operators(apply(graph, Validate(), FoldConstants())) == ["broadcast_add"]


@pytest.mark.parametrize(
    ("loss", "left"),
    [
        (lambda x: sym.SoftmaxOutput(x, name="out"), "SoftmaxActivation"),
        (lambda x: sym.LogisticRegressionOutput(x, name="out"), "sigmoid"),
        (lambda x: sym.LinearRegressionOutput(x, name="out"), "FullyConnected"),
        (lambda x: sym.MAERegressionOutput(x, name="out"), "FullyConnected"),
    ],
)
def test_losses_and_their_labels_are_dropped(loss: Any, left: str) -> None:
    graph = random_network(loss(sym.FullyConnected(DATA, num_hidden=3, name="dense")), (-1, 5))
    assert set(graph.inputs) == {"data", "out_label"}
    result = DropLabels().run(graph)
    assert set(result.inputs) == {"data"}
    assert operators(result)[-1] == left
    assert result.outputs[0].node.name == ("dense" if left == "FullyConnected" else "out")
    data = pictures(graph, 2, 0)
    labels = np.zeros(tuple(2 if d == -1 else d for d in graph.inputs["out_label"]), np.float32)
    (expected,) = Executor(graph)({"data": data, "out_label": labels})
    np.testing.assert_allclose(Executor(result)(data)[0], expected, atol=1e-6)


class Wrong(Pass):
    """A transformation with a mistake: it forgets a factor."""

    name = "wrong"

    def run(self, graph: Graph) -> Graph:
        return graph.rebuild(lambda node, inputs: [inputs[0]] if node.op == "_mul_scalar" else None)


class Shrinks(Pass):
    """A transformation that changes the output's shape."""

    name = "shrinks"

    def run(self, graph: Graph) -> Graph:
        return Graph(graph.outputs + graph.outputs, graph.params, graph.inputs)


def test_verification_names_the_pass_that_changes_the_network() -> None:
    graph = random_network(conv(DATA) * 1.01, IMAGE)
    data = pictures(graph, 2, 0)
    manager = PassManager([FoldConstants(), FoldPad(), Wrong(), FoldAffine()], verify=data)
    with pytest.raises(MRTError, match=r"^pass wrong changed the network: relative error "):
        manager.run(graph)
    assert set(manager.errors) == {"fold_constants", "fold_pad", "wrong"}
    assert manager.errors["wrong"] == pytest.approx(0.01 / 1.01, rel=1e-3)
    PassManager([FoldConstants(), Wrong()]).run(graph)  # unverified, nobody notices


def test_verification_names_the_pass_that_changes_the_outputs() -> None:
    graph = random_network(conv(DATA), IMAGE)
    with pytest.raises(MRTError, match=r"^pass shrinks: output shapes changed from "):
        PassManager([Shrinks()], verify=pictures(graph, 2, 0)).run(graph)


def test_conditions_of_a_pass_are_reported_with_its_name() -> None:
    class Demanding(Pass):
        name = "demanding"

        def requires(self, graph: Graph) -> None:
            raise MRTError("no pooling in the graph")

        def run(self, graph: Graph) -> Graph:
            raise AssertionError("must not run")

    class Promising(Pass):
        name = "promising"

        def run(self, graph: Graph) -> Graph:
            return graph

        def ensures(self, graph: Graph) -> None:
            raise MRTError("a pooling is left")

    graph = random_network(conv(DATA), IMAGE)
    with pytest.raises(MRTError, match=r"^pass demanding: no pooling in the graph$"):
        PassManager([Demanding()]).run(graph)
    with pytest.raises(MRTError, match=r"^pass promising: a pooling is left$"):
        PassManager([Promising()]).run(graph)


def test_a_network_that_is_not_finite_itself_is_not_blamed_on_a_pass() -> None:
    graph = random_network(sym.log(conv(DATA)), IMAGE)
    with pytest.raises(MRTError, match=r"^the network's own outputs are not finite"):
        PassManager(PREPARE, verify=pictures(graph, 2, 0)).run(graph)


def test_preparing_twice_changes_nothing_more() -> None:
    symbol = sym.softmax(sym.FullyConnected(sym.BatchNorm(conv(DATA), fix_gamma=False), num_hidden=3))
    once = PassManager(PREPARE).run(random_network(symbol, IMAGE))
    assert PassManager(PREPARE).run(once).nodes() == once.nodes()
