"""A picture enters the integer network without rounding, where the data says that its input is made of bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cvm
import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from toolchain import random_network

import mrt
from mrt.api import IntegerModel
from mrt.datasets import Preprocess
from mrt.executors.mxnet import Executor
from mrt.graph import Array
from mrt.targets.cvm.compiler import compile_model

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESS = Preprocess(mean=MEAN, std=STD, scale=255.0)
SHAPE = (-1, 3, 12, 12)


def bytes_of_pictures(count: int = 24, seed: int = 3) -> Array:
    """Smooth pictures, with black and white in some."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 4, 4))
    pictures = np.kron(coarse, np.ones((3, 3))) + rng.normal(0, 20, (count, 3, 12, 12))
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def convolution(data: Any, name: str, **attrs: Any) -> Any:
    return mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=8, name=name, **attrs)


def plain(data: Any) -> Any:
    return mx.sym.Pooling(mx.sym.relu(convolution(data, "one")), global_pool=True, pool_type="avg", kernel=(1, 1))


def read_twice(data: Any) -> Any:
    """By two layers, of which one has a normalisation of its own before it, which zero padding does not let fold."""
    scaled = mx.sym.BatchNorm(data, fix_gamma=False, name="norm")
    layers = convolution(data, "one", stride=(2, 2)), convolution(scaled, "two", stride=(2, 2), dilate=(2, 2))
    pooled = [mx.sym.Pooling(layer, global_pool=True, pool_type="avg", kernel=(1, 1)) for layer in layers]
    return mx.sym.concat(*pooled, dim=1)


def grouped(data: Any) -> Any:
    return convolution(mx.sym.relu(mx.sym.Convolution(data, kernel=(3, 3), num_filter=9, num_group=3, pad=(1, 1))), "b")


def pooled_first(data: Any) -> Any:
    return convolution(mx.sym.Pooling(data, kernel=(2, 2), stride=(2, 2), pool_type="max"), "one")


def decibels(model: IntegerModel, pictures: Array) -> float:
    ratio = model.sqnr(pictures)
    assert isinstance(ratio, float)
    return ratio


def quantized(build: Any, preprocess: Preprocess = PREPROCESS) -> IntegerModel:
    network = random_network(build(mx.sym.var("data")), SHAPE)
    return mrt.quantize(network, bytes_of_pictures(), preprocess=preprocess)


@pytest.mark.parametrize("build", [plain, read_twice, grouped], ids=lambda build: build.__name__)
def test_bytes_enter_as_they_are(build: Any, tmp_path: Path) -> None:
    model = quantized(build)
    (entry,) = json.loads((model.save(tmp_path / "net_cvm") / "ext.json").read_text())["inputs"]
    assert entry["precision"] == 8 and entry["zero"] == ["4947/40", "2907/25", "10353/100"]
    unseen = bytes_of_pictures(8, seed=4)
    integers = np.asarray(model.quantized.integers(unseen))
    assert integers.dtype == np.int8
    saturating = unseen == (0 if entry["offset"] == 128 else 255)
    assert saturating.mean() < 0.2
    assert np.array_equal((integers.astype(int) + entry["offset"])[~saturating], unseen[~saturating])
    native = cvm.load(tmp_path / "net_cvm")
    mean, std = (np.reshape(numbers, (1, 3, 1, 1)) for numbers in (MEAN, STD))
    real = (unseen / np.float32(255) - mean) / std
    assert np.array_equal(native.quantize_input(real.astype(np.float32)), integers)
    expected = Executor(model.quantized.graph, dtype="float64")(integers)[0]
    assert np.array_equal(formal.run(compile_model(model.quantized), integers)[0], expected)
    assert np.array_equal(native(unseen), expected)
    assert np.array_equal(model(unseen), model(real.astype(np.float32)))
    assert decibels(model, unseen) > 35


def test_the_input_loses_nothing_even_at_the_border() -> None:
    """Of a layer whose weights are exact in 8 bits, all that is lost is the rounding of its 16-bit output."""
    weight = np.random.default_rng(0).integers(-127, 128, (8, 3, 3, 3)) / 64
    weight[:, :, 0, 0] = 127 / 64
    symbol = convolution(mx.sym.var("data"), "one")
    network = random_network(symbol, SHAPE, one_weight=weight)
    same = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.25,), scale=255.0)
    model = mrt.quantize(network, bytes_of_pictures(), preprocess=same)
    inside = np.clip(bytes_of_pictures(8, seed=5), 1, 254)
    assert decibels(model, inside) > 70


def test_a_layer_that_cannot_take_pixels_keeps_the_old_way() -> None:
    model = quantized(pooled_first)
    assert model.quantized.input.pixels is None
    assert decibels(model, bytes_of_pictures(8, seed=4)) > 25


def test_channels_that_are_alike_suit_any_reader() -> None:
    model = quantized(pooled_first, Preprocess(mean=(0.0,), std=(1.0,), scale=255.0))
    assert model.quantized.input.pixels is not None
    assert decibels(model, bytes_of_pictures(8, seed=4)) > 35


def test_what_is_no_whole_pixels_is_not_taken_for_them() -> None:
    pictures = bytes_of_pictures().astype(np.float32) + np.float32(0.3)
    network = random_network(plain(mx.sym.var("data")), SHAPE)
    model = mrt.quantize(network, pictures, preprocess=PREPROCESS)
    assert model.quantized.input.pixels is None


def test_more_bits_are_asked_for() -> None:
    network = random_network(plain(mx.sym.var("data")), SHAPE)
    model = mrt.quantize(network, bytes_of_pictures(), preprocess=PREPROCESS, recipe=mrt.Recipe(input_precision=12))
    assert model.quantized.input.precision == 12 and model.quantized.input.pixels is None


@pytest.mark.parametrize(
    ("preprocess", "said"),
    [(Preprocess(mean=(1.0, 2.0)), "one for each channel of data: 3"), (Preprocess(std=(0.0,)), "must be above 0")],
)
def test_a_preprocessing_that_does_not_fit_is_refused(preprocess: Preprocess, said: str) -> None:
    with pytest.raises(mrt.MRTError, match=said):
        quantized(plain, preprocess)
