"""A two-layer transformer of seeded weights through everything: two inputs, masked attention, shorter sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cvm
import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from cvm.package import load_package

import mrt
from mrt.nets.bert import Bert, BertShape

WORDS, LENGTH = 100, 12
SHAPE = BertShape(layers=2, width=32, heads=4, inner=64, vocabulary=WORDS, positions=20)


def network(gelu: str) -> Any:
    mx.random.seed(0)
    net = Bert(BertShape(**{**vars(SHAPE), "gelu": gelu}))
    net.initialize(mx.init.Normal(0.2))
    return net


def sentences(count: int, seed: int, longest: int = LENGTH) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.arange(LENGTH) < random.integers(2, longest + 1, count)[:, None]
    tokens = np.where(mask, random.integers(1, WORDS, mask.shape), 0)
    return {"data0": tokens.astype(np.int32), "data1": mask.astype(np.int32)}


def in_float(net: Any, feed: dict[str, np.ndarray]) -> np.ndarray:
    found: np.ndarray = net(*(mx.nd.array(array) for array in feed.values())).asnumpy()
    return found


@pytest.fixture(scope="module", params=["erf", "tanh"])
def compiled(request: Any) -> tuple[Any, mrt.IntegerModel]:
    net = network(request.param)
    return net, mrt.quantize(net, sentences(64, 0))


def test_a_transformer_is_exact_and_near_the_float_network(compiled: Any, tmp_path: Path) -> None:
    net, model = compiled
    feed = sentences(40, 1)
    assert model.certificate.ok
    report = model.evaluate(feed)  # the native runtime beside the twin on MXNet
    assert report.bit_exact and report.bit_exact.samples == 40 and report.bit_exact.mismatches == 0
    folder = model.save(tmp_path / "model")
    runtime = cvm.load(folder)
    integers = runtime.quantize_input({name: array[:8] for name, array in feed.items()})
    alone = replace(load_package(folder).model, input_shape=integers.shape)
    np.testing.assert_array_equal(runtime(integers), formal.run(alone, integers)[0])
    expected, found = in_float(net, feed), model(feed)
    assert 10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum()) > 25


def test_what_the_mask_hides_changes_no_bit(compiled: Any) -> None:
    _, model = compiled
    feed = sentences(40, 2, longest=7)
    noise = np.random.default_rng(3).integers(0, WORDS, feed["data0"].shape, np.int32)
    changed = {**feed, "data0": np.where(feed["data1"] == 1, feed["data0"], noise)}
    np.testing.assert_array_equal(model(feed), model(changed))


def test_sentences_shorter_than_compiled_are_what_the_network_gives_without_padding(compiled: Any) -> None:
    net, model = compiled
    feed = sentences(40, 4, longest=2)  # each has two tokens
    expected = in_float(net, {name: array[:, :2] for name, array in feed.items()})
    found = model(feed)
    assert 10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum()) > 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data0": np.full((2, LENGTH), WORDS)}, "input 'data0' holds 100: it must be a number from 0 to 99"),
        ({"data0": np.full((2, LENGTH), -1)}, "input 'data0' holds -1: it must be a number from 0 to 99"),
        (
            {"data0": np.ones((2, 13), int)},
            "input 'data0' has shape (2, 13), expected (-1, 12)",
        ),
        ({"data1": np.ones((2, 11), int)}, "input 'data1' has shape (2, 11), expected (-1, 12)"),
        ({"data1": np.ones((3, LENGTH), int)}, "different numbers of samples"),
    ],
)
def test_bad_input_is_one_line(compiled: Any, change: dict[str, Any], said: str) -> None:
    _, model = compiled
    feed = {**sentences(2, 5), **change}
    with pytest.raises((mrt.MRTError, cvm.CVMError)) as error:
        model(feed)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_calibration_on_tokens_that_the_table_lacks_is_refused() -> None:
    feed = sentences(4, 0)
    feed["data0"][0, 0] = WORDS
    with pytest.raises(mrt.MRTError, match="input data0: the data holds 100, and it must be a number from 0 to 99"):
        mrt.quantize(network("erf"), feed)
