"""Networks that were exported with a batch size in them, or whose batch is not the first axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import mxnet as mx
import numpy as np
import pytest
from saved_networks import compiled, loaded, outputs, save

from mrt.errors import MRTError
from mrt.executors.mxnet import Executor

sym = mx.sym
DATA = sym.Variable("data")


def conv(channels: int = 8, name: str = "c") -> Any:
    return sym.Convolution(DATA, num_filter=channels, kernel=(3, 3), pad=(1, 1), name=name)


def dense(x: Any, units: int = 10, name: str = "fc", **more: Any) -> Any:
    return sym.FullyConnected(x, num_hidden=units, name=name, **more)


def steps_first() -> Any:
    """(T, N, C)."""
    return sym.transpose(sym.Reshape(conv(), shape=(0, 0, -1)), axes=(2, 0, 1))


FIXED: dict[str, tuple[int, Callable[[], Any]]] = {
    "one": (1, lambda: dense(sym.Reshape(conv(), shape=(1, 512)))),
    "one, rest inferred": (1, lambda: dense(sym.Reshape(conv(), shape=(1, -1)))),
    "two, in the old way": (2, lambda: dense(sym.Reshape(conv(), target_shape=(2, 512)))),
    "four, rest inferred": (4, lambda: dense(sym.Reshape(conv(), shape=(4, -1)))),
    "four, twice": (4, lambda: dense(sym.Reshape(sym.Reshape(conv(), shape=(4, 8, 64)), shape=(4, 512)))),
    "groups of channels": (2, lambda: dense(sym.Reshape(conv(), shape=(2, 2, 4, 8, 8)))),
    "rows of all samples": (
        2,
        lambda: dense(sym.Reshape(dense(sym.Reshape(conv(), shape=(16, 64)), 5, name="rows"), shape=(2, 40))),
    ),
    "within a slice": (2, lambda: dense(sym.slice(sym.Flatten(conv()), begin=(0, 1), end=(2, 300)))),
    "along an axis": (2, lambda: dense(sym.slice_axis(conv(), axis=0, begin=0, end=2))),
    "second axis": (2, lambda: dense(sym.Reshape(steps_first(), shape=(64, 2, 2, 4)), 5, flatten=False)),
    "steps and samples": (
        2,
        lambda: sym.Reshape(dense(sym.Reshape(steps_first(), shape=(128, 8)), 5), shape=(64, 2, 5)),
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_batch_size_within_the_network_gives_way_to_any(name: str, tmp_path: Path) -> None:
    batch, make = FIXED[name]
    symbol = make()
    save(symbol, tmp_path, batch=batch)
    network = compiled(tmp_path)
    data = np.random.default_rng(3).normal(size=(batch, 1, 8, 8)).astype(np.float32)
    (expected,) = outputs(symbol, tmp_path, data=data)
    np.testing.assert_allclose(Executor(network)(data)[0], expected, rtol=1e-5, atol=1e-5)
    singly = np.concatenate([Executor(network)(data[i : i + 1])[0] for i in range(batch)], axis=int(expected.ndim > 2))
    np.testing.assert_allclose(singly, expected, rtol=1e-5, atol=1e-5)


def test_a_batch_size_that_could_be_another_is_refused(tmp_path: Path) -> None:
    """(2, -1) is two samples, or two halves of one: without a layer behind it, nobody can tell."""
    save(sym.softmax(sym.Reshape(conv(), shape=(2, -1), name="halves")), tmp_path)
    with pytest.raises(
        MRTError, match=r"^node halves \(Reshape\): it holds for one batch size only \(shape=\(2, -1\)\)"
    ):
        loaded(tmp_path)


def test_dense_layers_of_sequences_whose_batch_is_second(tmp_path: Path) -> None:
    save(dense(steps_first(), 12, flatten=False), tmp_path)
    (output,) = compiled(tmp_path).outputs
    assert output.name == "fc"


OVER_STEPS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda x: dense(sym.mean(x, axis=0)),
    "largest": lambda x: dense(sym.max(x, axis=0)),
    "smallest": lambda x: dense(sym.min(x, axis=0)),
    "length": lambda x: dense(sym.norm(x, axis=0)),
    "differences from the mean": lambda x: sym.broadcast_sub(x, sym.mean(x, axis=0, keepdims=True)),
    "attention": lambda x: sym.sum(
        sym.broadcast_mul(x, sym.softmax(dense(x, 1, "scores", flatten=False), axis=0)), axis=0
    ),
    "the last": lambda x: dense(sym.Reshape(sym.slice_axis(x, axis=0, begin=-1, end=None), shape=(-3, 0))),
    "a window": lambda x: sym.slice(x, begin=(3, None, 1), end=(9, None, 5)),
    "a part": lambda x: sym.SliceChannel(x, num_outputs=4, axis=0)[1],
    "backwards": lambda x: sym.reverse(x, axis=0),
    "squeezed": lambda x: sym.squeeze(sym.mean(x, axis=0, keepdims=True)),
    "recurrent": lambda x: sym.mean(
        sym.RNN(x, sym.Variable("r_parameters"), *[sym.zeros((1, 0, 6))] * 2, state_size=6, num_layers=1, mode="lstm"),
        axis=0,
    ),
}


@pytest.mark.parametrize("name", OVER_STEPS)
def test_what_is_computed_over_the_steps_of_a_sequence(name: str, tmp_path: Path) -> None:
    symbol = OVER_STEPS[name](steps_first())
    save(symbol, tmp_path)
    network = compiled(tmp_path)
    data = np.random.default_rng(3).normal(size=(3, 1, 8, 8)).astype(np.float32)
    (expected,) = outputs(symbol, tmp_path, data=data)
    np.testing.assert_allclose(Executor(network)(data)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "mean", "l2normalization"])
def test_what_mixes_the_samples_is_refused(name: str, tmp_path: Path) -> None:
    over_samples = {
        "softmax": lambda x: sym.softmax(dense(sym.Flatten(x)), axis=0, name="bad"),
        "mean": lambda x: sym.mean(steps_first(), axis=1, name="bad"),
        "l2normalization": lambda x: sym.L2Normalization(steps_first(), name="bad"),
    }
    save(over_samples[name](conv()), tmp_path)
    with pytest.raises(MRTError, match=r"^pass validate: node bad .* over the batch axis is not supported$"):
        compiled(tmp_path)


def test_samples_that_meet_are_refused(tmp_path: Path) -> None:
    save(dense(sym.Flatten(steps_first())), tmp_path)
    with pytest.raises(MRTError, match=r"fit together for a batch of 2, not for one sample"):
        loaded(tmp_path)
