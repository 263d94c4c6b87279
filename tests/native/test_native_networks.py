"""Whole networks: every instruction set, thread count and batch size gives the integers of formal."""

from __future__ import annotations

import functools

import native_models
import numpy as np
import pytest
from cvm import formal
from cvm.package import load_package
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import KERNELS, assert_same, run_native, save


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_random_network(seed: int, tmp_path) -> None:
    model = native_models.random_net(np.random.default_rng(seed))
    save(tmp_path, model)
    x = np.random.default_rng(seed + 1).integers(-127, 128, (3, *model.input_shape[1:])).astype(np.int32)
    want = formal.run(model, x)
    for kernels in KERNELS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CVM_KERNELS", kernels)
            assert_same(model, run_native(tmp_path, x, threads=2), want)
            assert_same(model, run_native(tmp_path, x[:1], threads=1), [w[:1] for w in want])


SMALL = {
    "resnet50_v1": functools.partial(native_models.resnet50, 64),
    "resnet18_v1": functools.partial(native_models.resnet18, 65),
    "mobilenet1.0": functools.partial(native_models.mobilenet, 64),
    "mobilenetv2_1.0": functools.partial(native_models.mobilenet_v2, 96),
    "squeezenet1.0": functools.partial(native_models.squeezenet, 75),
    "cifar_resnet20_v1": native_models.cifar_resnet20,
}


@pytest.mark.parametrize("name", SMALL)
def test_known_network(name: str, tmp_path, monkeypatch) -> None:
    model = SMALL[name](seed=3)
    save(tmp_path, model)
    x = np.random.default_rng(4).integers(-127, 128, (2, *model.input_shape[1:])).astype(np.int32)
    want = formal.run(model, x)
    assert np.unique(want[0]).size > 5  # the network has not died out
    for kernels in KERNELS:
        monkeypatch.setenv("CVM_KERNELS", kernels)
        assert_same(model, run_native(tmp_path, x, threads=3), want)


@pytest.mark.parametrize("size", [64, 96])
def test_padding_of_an_offset_becomes_the_convolution(size: int, tmp_path) -> None:
    """The map that corrects a padded convolution costs no step of its own."""
    from cvm import runtime

    folder = save(tmp_path, native_models.mobilenet(size))
    titles = [step["title"] for step in runtime.load(folder).plan()["steps"]]
    assert len(titles) == 31  # input, 27 convolutions, pool, dense, output
    assert sum("broadcast_add" in title and title.startswith("conv2d") for title in titles) == 13
    assert load_package(folder).model.infer().shapes[-1] == [(1, 1000)]
