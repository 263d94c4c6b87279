"""Networks of several inputs through the recipe: a picture with a vector, token ids with a mask, time before batch."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from rich.console import Console

from mrt.executors.mxnet import Executor
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Array, Graph, Shape
from mrt.recipe import Recipe
from mrt.report import Progress
from mrt.run.compile import Compile
from mrt.run.given import Given
from mrt.run.products import BASE, COMPILED, QUANTIZED
from mrt.run.stage import run_stages
from mrt.run.stages import recipe_stages
from mrt.targets.cvm.compiler import model_input

sym = mx.sym
COUNT = 96


def picture_and_vector() -> tuple[Any, dict[str, Shape]]:
    x = sym.Convolution(sym.Variable("data"), kernel=(3, 3), num_filter=4, name="conv")
    pooled = sym.Pooling(sym.Activation(x, act_type="relu"), global_pool=True, pool_type="avg", kernel=(1, 1))
    joined = sym.concat(sym.Flatten(pooled), sym.Variable("extra"), dim=1)
    return sym.FullyConnected(joined, num_hidden=5, name="dense"), {"data": (-1, 3, 8, 8), "extra": (-1, 7)}


def ids_and_mask() -> tuple[Any, dict[str, Shape]]:
    rows = sym.Embedding(sym.Variable("ids"), input_dim=300, output_dim=6, name="table")
    kept = sym.broadcast_mul(rows, sym.expand_dims(sym.Variable("mask"), axis=2))
    return sym.FullyConnected(sym.sum(kept, axis=1), num_hidden=3, name="dense"), {"ids": (-1, 9), "mask": (-1, 9)}


def time_first() -> tuple[Any, dict[str, Shape]]:
    mean = sym.mean(sym.transpose(sym.Variable("steps"), axes=(1, 0, 2)), axis=1)
    return sym.FullyConnected(sym.concat(mean, sym.Variable("extra"), dim=1), num_hidden=4, name="dense"), {
        "steps": (5, -1, 6),
        "extra": (-1, 2),
    }


NETWORKS = {"picture and vector": picture_and_vector, "ids and mask": ids_and_mask, "time first": time_first}


def network_of(name: str) -> Graph:
    symbol, inputs = NETWORKS[name]()
    random = np.random.default_rng(0)
    sizes = {key: tuple(2 if d == -1 else d for d in shape) for key, shape in inputs.items()}
    shapes, _, _ = symbol.infer_shape(**sizes)
    params = {
        key: random.normal(size=size).astype(np.float32) / np.sqrt(max(1, np.prod(size[1:])))
        for key, size in zip(symbol.list_arguments(), shapes)
        if key not in inputs
    }
    return from_symbol(symbol, params, inputs)


def data_of(name: str, count: int, seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    if name == "ids and mask":
        return {"ids": random.integers(0, 300, (count, 9)), "mask": random.integers(0, 2, (count, 9))}
    _, inputs = NETWORKS[name]()
    sizes = {key: tuple(count if d == -1 else d for d in shape) for key, shape in inputs.items()}
    return {key: random.normal(size=size).astype(np.float32) for key, size in sizes.items()}


@pytest.fixture(scope="module", params=list(NETWORKS))
def made(request: pytest.FixtureRequest) -> Any:
    name: str = request.param
    network = network_of(name)
    samples = Given(data_of(name, COUNT, 1), network.inputs)
    recipe = Recipe()
    stages = [*recipe_stages(recipe, samples), Compile(recipe.quantization)]
    have = run_stages(stages, [QUANTIZED, COMPILED], Progress(Console(quiet=True)), given={BASE: network})
    return name, network, have[QUANTIZED], have[COMPILED]


def test_the_integers_are_those_of_the_twin_for_any_batch(made: Any) -> None:
    name, _, quantized, compiled = made
    assert compiled.certificate.ok
    twin = Executor(quantized.graph, dtype="float64")
    for count in (1, 5):
        integers = quantized.integers(data_of(name, count, 2))
        expected = twin(integers)
        found = formal.run(compiled.model, model_input(quantized, integers))
        for a, b in zip(expected, found):
            np.testing.assert_array_equal(a.astype(np.int64), b)


def test_the_integers_are_near_the_float_network(made: Any) -> None:
    name, network, quantized, compiled = made
    data = data_of(name, 64, 3)
    (expected,) = Executor(network)(data)
    (found,) = quantized.real(formal.run(compiled.model, model_input(quantized, quantized.integers(data))))
    ratio = np.square(expected).sum() / np.square(expected - found).sum()
    assert 10 * np.log10(ratio) > 24


def test_whole_numbers_are_taken_as_they_are(made: Any) -> None:
    name, _, quantized, _ = made
    if name == "ids and mask":
        found = {info.name: (info.scale, info.precision) for info in quantized.inputs}
        assert found == {"ids": (1, 10), "mask": (1, 2)}
        ids = np.array([[0, 1, 2, 50, 100, 200, 298, 299, 299]])
        integers = quantized.integers({"ids": ids, "mask": np.ones((1, 9))})
        np.testing.assert_array_equal(integers["ids"], ids)


def test_data_of_other_inputs_is_refused(made: Any) -> None:
    name, network, *_ = made
    data = data_of(name, 4, 0)
    first, *_ = data
    with pytest.raises(Exception, match="give a dict"):
        Given(data[first], network.inputs)
    with pytest.raises(Exception, match=f"has no {first}"):
        Given({key: array for key, array in data.items() if key != first}, network.inputs)
