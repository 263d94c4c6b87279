"""Whole networks: every instruction set, thread count and batch size gives the integers of formal."""

from __future__ import annotations

import functools
from collections.abc import Callable

import native_models
import numpy as np
import pytest
from cvm import Model, Node, formal, runtime
from cvm.package import load_package
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import AVAILABLE, assert_same, each_kernels, run_native, save


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_random_network(seed: int, tmp_path) -> None:
    model = native_models.random_net(np.random.default_rng(seed))
    save(tmp_path, model)
    x = np.random.default_rng(seed + 1).integers(-127, 128, (3, *model.input_shape[1:])).astype(np.int32)
    want = formal.run(model, x)
    for kernels in AVAILABLE:
        assert_same(model, run_native(tmp_path, x, threads=2, kernels=kernels), want)
        assert_same(model, run_native(tmp_path, x[:1], threads=1, kernels=kernels), [w[:1] for w in want])


SMALL: dict[str, Callable[..., Model]] = {
    "resnet50_v1": functools.partial(native_models.resnet50, 64),
    "resnet18_v1": functools.partial(native_models.resnet18, 65),
    "mobilenet1.0": functools.partial(native_models.mobilenet, 64),
    "mobilenetv2_1.0": functools.partial(native_models.mobilenet_v2, 96),
    "squeezenet1.0": functools.partial(native_models.squeezenet, 75),
    "cifar_resnet20_v1": native_models.cifar_resnet20,
}


@pytest.mark.parametrize("name", SMALL)
def test_known_network(name: str, tmp_path) -> None:
    model = SMALL[name](seed=3)
    save(tmp_path, model)
    x = np.random.default_rng(4).integers(-127, 128, (2, *model.input_shape[1:])).astype(np.int32)
    want = formal.run(model, x)
    assert np.unique(want[0]).size > 5  # the network has not died out
    for kernels in AVAILABLE:
        assert_same(model, run_native(tmp_path, x, threads=3, kernels=kernels), want)


@each_kernels
def test_table_of_kernels(kernels: str, tmp_path) -> None:
    """Each that the processor has runs by its name; one that it lacks is skipped, with the reason."""
    model = native_models.random_net(np.random.default_rng(1))
    x = np.random.default_rng(2).integers(-127, 128, (2, *model.input_shape[1:])).astype(np.int32)
    assert_same(model, run_native(save(tmp_path, model), x, kernels=kernels), formal.run(model, x))


@pytest.mark.parametrize("size", [64, 96])
def test_padding_of_an_offset_becomes_the_convolution(size: int, tmp_path) -> None:
    """The map that corrects a padded convolution costs no step of its own."""
    folder = save(tmp_path, native_models.mobilenet(size))
    titles = [step["title"] for step in runtime.load(folder).plan()["steps"]]
    assert len(titles) == 31  # input, 27 convolutions, pool, dense, output
    assert sum("broadcast_add" in title and title.startswith("conv2d") for title in titles) == 13
    assert load_package(folder).model.infer().shapes[-1] == [(1, 1000)]


def test_a_batch_that_runs_in_parts(tmp_path) -> None:
    """A network too large for the cache takes a batch one picture after another, to the same integers."""
    model = native_models.mobilenet(160)
    runtime_model = runtime.load(save(tmp_path, model), threads=2)
    assert runtime_model.plan(7)["input"][0] < 7
    x = np.random.default_rng(6).integers(-127, 128, (7, 3, 160, 160)).astype(np.int8)
    found = runtime_model(x)
    assert isinstance(found, np.ndarray)
    assert_same(model, [found], formal.run(model, x.astype(np.int32)))


@pytest.mark.parametrize(
    ("op", "attrs", "inputs"),
    [
        ("repeat", {"repeats": "2"}, 1),
        ("sum", {"axis": "(0,)"}, 1),
        ("max", {}, 1),
        ("transpose", {}, 1),
        ("strided_slice", {"begin": "(-1,)", "end": "(-9999,)", "stride": "(-1,)"}, 1),
        ("concatenate", {"axis": "0"}, 2),
        ("take", {"axis": "0"}, 2),
        ("dense", {"units": "6", "use_bias": "False"}, 2),
    ],
)
def test_operators_that_mix_the_batch(op, attrs, inputs, tmp_path) -> None:
    """Followed by enough work that a batch would not fit the cache: these may not be split."""
    nodes = [
        Node("null", "data"),
        Node("negative", "n", ((0, 0),)),
        Node("strided_slice", "s", ((1, 0),), {"begin": "(0,)", "end": "(6,)"}),
    ]
    second = 2 if op == "dense" else 1
    nodes.append(Node(op, "y", ((0, 0), (second, 0))[:inputs], attrs))
    nodes.append(Node("negative", "z", ((3, 0),)))
    model = Model(nodes, [(4, 0), (1, 0)], {}, {"data": 6}, (6, 65000 if op != "take" else 4000))
    x = np.random.default_rng(7).integers(-31, 32, (9, *model.input_shape[1:])).astype(np.int32)
    if op == "take":
        x %= 9
        x = x[:, :40]
        model.input_shape = (6, 40)
    assert_same(model, run_native(save(tmp_path, model), x), formal.run(model, x))


def test_layers_of_the_same_weights_share_them_in_memory(tmp_path) -> None:
    """Convolutions that differ in stride, dilation and padding, and dense layers over pictures of different shapes."""
    rng = np.random.default_rng(5)
    kernel = {"channels": "64", "kernel_size": "(3, 3)", "groups": "1", "use_bias": "False"}
    nodes = [Node("null", "data"), Node("null", "w"), Node("null", "v")]
    heads = []

    def add(op: str, inputs: tuple[int, ...], **attrs: str) -> int:
        nodes.append(Node(op, f"n{len(nodes)}", tuple((i, 0) for i in inputs), attrs))
        return len(nodes) - 1

    for strides, padding, dilation in (((1, 1), (1, 1), (1, 1)), ((2, 2), (0, 1), (1, 1)), ((1, 1), (2, 2), (1, 2))):
        geometry = {"strides": str(strides), "padding": str(padding), "dilation": str(dilation)}
        heads.append(add("conv2d", (0, 1), **kernel, **geometry))
    for pad in ("(4, 2)", "(2, 4)"):  # 16 channels of 4 x 2 and of 2 x 4
        pooled = add("max_pool2d", (0,), pool_size=pad, strides=pad, padding="(0, 0)", ceil_mode="False")
        heads.append(add("dense", (add("flatten", (pooled,)), 2), units="64", use_bias="False"))
    weights = (  # small ones, of which no table of kernels makes more steps
        rng.integers(-64, 65, (64, 16, 3, 3)).astype(np.int32),
        rng.integers(-64, 65, (64, 128)).astype(np.int32),
    )
    params, precisions = {"w": weights[0], "v": weights[1]}, {"data": 8, "w": 8, "v": 8}
    model = Model(nodes, [(head, 0) for head in heads], params, precisions, (1, 16, 8, 8))
    x = rng.integers(-127, 128, (2, 16, 8, 8)).astype(np.int32)
    save(tmp_path, model)
    assert_same(model, run_native(tmp_path, x), formal.run(model, x))
    assert runtime.load(tmp_path).plan()["constant_bytes"] < 2.5 * (weights[0].size + weights[1].size)
