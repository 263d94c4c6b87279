"""Pruning as a graph rewrite: the smaller network is the old one with the removed channels' weights at zero."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest

from mrt.compress.groups import ChannelGroups
from mrt.compress.prune import masked, prune
from mrt.config import Config
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Graph
from mrt.run.seeded import seed_weights, structural_network
from mrt.run.source import untrained_network

ARCHITECTURES = {  # the part of the weights that is left when half of each group's channels go
    "cifar_resnet20_v1": (32, 0.3),
    "cifar_resnet20_v2": (32, 0.3),
    "resnet18_v2": (64, 0.3),
    "mobilenet0.25": (64, 0.45),
    "mobilenetv2_0.25": (64, 0.5),
    "mobilenetv3_small": (64, 0.45),
    "squeezenet1.1": (224, 0.4),
    "densenet121": (224, 0.35),
    "shufflenet_v1": (64, 0.6),
    "se_resnet50_v1": (64, 0.3),
    "resnext50_32x4d": (64, 0.3),
    "resnest14": (64, 0.35),
    "vgg11_bn": (32, 0.3),
    "inceptionv3": (299, 0.3),
    "googlenet": (224, 0.35),
    "hrnet_w18_small_v1_c": (64, 0.35),
}


def size(graph: Graph) -> int:
    return sum(array.size for array in graph.params.values())


def halves(groups: ChannelGroups) -> list[int]:
    rng = np.random.default_rng(0)
    return [unit for group in groups.groups for unit in rng.permutation(group.units)[: len(group.units) // 2]]


def differs(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]]) -> float:
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(a))) for a, b in zip(one, other))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_masked_is_pruned(name: str) -> None:
    side, part = ARCHITECTURES[name]
    config = Config.model_validate(
        {"DEFAULT": {"Model_name": name, "Input_shape": (-1, 3, side, side)}, "CALIBRATION": {"Dataset": "imagenet"}}
    )
    pictures = np.random.default_rng(1).normal(size=(2, 3, side, side)).astype(np.float32)
    pictures[1] = 1 - pictures[1].cumsum(axis=2) / 2  # noise alone looks the same after pooling, whatever it is
    network = structural_network(untrained_network(config), pictures)
    groups = ChannelGroups(network)
    units = halves(groups)
    small = prune(groups, units, verify=pictures)
    assert size(small) < part * size(network)
    outputs = Executor(small)(pictures)
    assert differs(outputs, Executor(masked(groups, units))(pictures)) < 1e-4
    assert differs(outputs, Executor(network)(pictures)) > 1e-2
    assert differs([outputs[0][:1]], [outputs[0][1:]]) > 1e-3  # it says something about its input
    again = ChannelGroups(small)
    prune(again, halves(again), verify=pictures)  # what is left can be pruned once more


def graph_of(symbol: Any, shape: tuple[int, ...] = (-1, 4, 6, 6)) -> Graph:
    shapes, _, auxiliary = symbol.infer_shape(data=(1, *shape[1:]))
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    params = {n: np.ones(s, np.float32) for n, s in zip(names, [*shapes, *auxiliary]) if n != "data"}
    return seed_weights(from_symbol(symbol, params, {"data": shape}))


def convolution(data: Any, count: int, name: str, kernel: int = 1, **options: Any) -> Any:
    return mx.sym.Convolution(data, num_filter=count, kernel=(kernel, kernel), name=name, **options)


def checked(graph: Graph) -> tuple[ChannelGroups, list[int], Graph]:
    groups = ChannelGroups(graph)
    units = halves(groups)
    (shape,) = graph.inputs.values()
    pictures = np.random.default_rng(2).normal(size=(3, *shape[1:])).astype(np.float32)
    return groups, units, prune(groups, units, verify=pictures)


def weight(graph: Graph, name: str) -> tuple[int, ...]:
    return graph.params[f"{name}_weight"].shape


def test_a_residual_sum_ties_its_sides() -> None:
    data = mx.sym.var("data")
    one, other = convolution(data, 8, "one"), convolution(data, 8, "other")
    groups, _, small = checked(graph_of(convolution(mx.sym.relu(one + other), 3, "last")))
    assert [[layer.name for layer in group.layers] for group in groups.groups] == [["one", "other"], ["last"]]
    assert weight(small, "one") == weight(small, "other") == (4, 4, 1, 1) and weight(small, "last") == (3, 4, 1, 1)


def test_the_parts_of_a_split_may_become_of_different_sizes() -> None:
    one = convolution(mx.sym.var("data"), 8, "one")
    parts = mx.sym.SliceChannel(one, num_outputs=2, name="split")
    graph = graph_of(convolution(mx.sym.concat(parts[1], parts[0], parts[0]), 3, "last"))
    groups = ChannelGroups(graph)
    units = groups.layer_units(groups.groups[0].layers[0])
    pictures = np.random.default_rng(2).normal(size=(3, 4, 6, 6)).astype(np.float32)
    small = prune(groups, units[[0, 1, 6]], verify=pictures)
    assert weight(small, "one")[0] == 5 and weight(small, "last")[1] == 3 + 2 + 2


def test_a_split_of_what_one_channel_has() -> None:
    one = mx.sym.Flatten(convolution(mx.sym.var("data"), 1, "one"))
    halves_ = mx.sym.SliceChannel(one, num_outputs=2, name="split")
    groups, units, _ = checked(graph_of(mx.sym.FullyConnected(halves_[0] + halves_[1], num_hidden=3, name="last")))
    assert groups.groups[0].reason == "one has one only" and not units


def test_slices_move_with_what_is_left() -> None:
    one = convolution(mx.sym.var("data"), 8, "one")
    _, _, small = checked(graph_of(convolution(mx.sym.slice_axis(one, axis=1, begin=-6, end=-1), 3, "last")))
    assert weight(small, "one")[0] == 4 and weight(small, "last")[1] < 5


def test_a_shuffle_between_grouped_convolutions_keeps_as_many_of_each() -> None:
    one = convolution(mx.sym.var("data"), 16, "one", num_group=2)
    shuffled = mx.sym.reshape(mx.sym.SwapAxis(mx.sym.reshape(one, (0, -4, 2, -1, -2)), dim1=1, dim2=2), (0, -3, -2))
    groups, _, small = checked(graph_of(convolution(convolution(shuffled, 8, "two", num_group=2), 3, "last")))
    assert weight(small, "one") == (8, 2, 1, 1) and weight(small, "two") == (4, 4, 1, 1)
    assert len(groups.groups[0].units) == 4  # two of each group, twice, for the second convolution


def test_channels_of_a_picture_are_the_columns_of_a_dense_layer() -> None:
    one = convolution(mx.sym.var("data"), 8, "one")
    _, _, small = checked(graph_of(mx.sym.FullyConnected(mx.sym.Flatten(one), num_hidden=3, name="last")))
    assert weight(small, "last") == (3, 4 * 36)


def test_layers_that_share_weights_are_pruned_together() -> None:
    data, shared, bias = mx.sym.var("data"), mx.sym.var("shared_weight"), mx.sym.var("shared_bias")
    one, other = (
        mx.sym.Convolution(data * factor, shared, bias, num_filter=8, kernel=(1, 1), name=name)
        for factor, name in ((1, "one"), (2, "other"))
    )
    graph = graph_of(convolution(one, 3, "last") + convolution(other, 3, "end"))
    groups, _, small = checked(graph)
    assert [layer.name for layer in groups.groups[0].layers] == ["one", "other"]
    assert weight(small, "shared")[0] == weight(small, "last")[1] == weight(small, "end")[1] == 4


@pytest.mark.parametrize(
    ("mix", "reason"),
    [
        (lambda x: mx.sym.LRN(x, nsize=3, name="mix"), "LRN mix mixes them"),
        (lambda x: mx.sym.softmax(x, axis=1, name="mix"), "softmax mix is taken over them"),
        (lambda x: mx.sym.mean(x, axis=1, keepdims=True, name="mix"), "mean mix is taken over them"),
        (lambda x: mx.sym.reshape(x, (-1, 2, 6, 6), name="mix"), "Reshape mix moves the batch axis"),
    ],
)
def test_a_group_that_cannot_be_pruned_says_why(mix: Any, reason: str) -> None:
    graph = graph_of(convolution(mix(convolution(mx.sym.var("data"), 8, "one")), 3, "last"))
    groups, units, small = checked(graph)
    assert groups.groups[0].reason == reason and not units and size(small) == size(graph)


def test_what_cannot_be_removed_is_refused() -> None:
    graph = graph_of(convolution(convolution(mx.sym.var("data"), 8, "one"), 3, "last"))
    groups = ChannelGroups(graph)
    with pytest.raises(MRTError, match="nothing would be left of layer one; lower the ratio"):
        prune(groups, groups.groups[0].units)
    with pytest.raises(MRTError, match="cannot be removed"):
        prune(groups, groups.layer_units(groups.groups[1].layers[0])[:1])


def test_with_relu_alone_the_makers_weights_at_zero_are_enough() -> None:
    data = mx.sym.var("data")
    hidden = mx.sym.relu(
        mx.sym.BatchNorm(convolution(data, 8, "one", kernel=3, pad=(1, 1)), fix_gamma=False, name="bn")
    )
    graph = graph_of(convolution(hidden, 3, "last", kernel=3))
    groups, units, small = checked(graph)
    params = dict(graph.params)
    lost = np.isin(groups.layer_units(groups.groups[0].layers[0]), units)
    for name in ("one_weight", "one_bias", "bn_beta", "bn_moving_mean"):
        params[name] = params[name].copy()
        params[name][lost] = 0
    pictures = np.random.default_rng(3).normal(size=(2, 4, 6, 6)).astype(np.float32)
    old = Executor(Graph(graph.outputs, params, graph.inputs))(pictures)
    assert differs(old, Executor(small)(pictures)) < 1e-5
