"""Takes a small MXNet symbol with random parameters through the whole compiler, and checks every step of the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cvm
import mxnet as mx
import numpy as np
from cvm import conformance, formal, format
from cvm.certificate import Certificate
from cvm.symbol import decode
from rich.console import Console

from mrt.executors.mxnet import Executor
from mrt.executors.symbol import to_symbol
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Array, Graph, Shape
from mrt.integer.form import ExtraBits
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import Quantized
from mrt.recipe import Recipe
from mrt.report import Progress
from mrt.run.compile import Compile
from mrt.run.given import Given
from mrt.run.products import BASE, COMPILED, PREPARED, QUANTIZED, RIVAL, SETTINGS, STATISTICS
from mrt.run.stage import Product, run_stages
from mrt.run.stages import recipe_stages
from mrt.targets.cvm.compiler import compile_model

CALIBRATION = 128
COMPARED = 16


@dataclass(frozen=True)
class Compiled:
    """Every stage of one network, and data to compare them on."""

    network: Graph
    prepared: Graph
    quantized: Quantized
    model: cvm.Model
    certificate: Certificate
    data: Array

    @property
    def operators(self) -> set[str]:
        """The target's operators in the compiled model."""
        return {node.op for node in self.model.nodes if not node.is_variable}


def random_network(symbol: Any, shape: Shape, name: str = "data", seed: int = 0, **given: Array) -> Graph:
    """The graph of a symbol, with sensible random values for the parameters that are not given."""
    random = np.random.default_rng(seed)
    shapes, _, aux_shapes = symbol.infer_shape(**{name: tuple(2 if d == -1 else d for d in shape)})
    params: dict[str, Array] = {}
    auxiliary = zip(symbol.list_auxiliary_states(), aux_shapes)
    for parameter, size in [*zip(symbol.list_arguments(), shapes), *auxiliary]:
        if parameter == name or parameter.endswith("label"):
            continue
        if parameter in given:
            value = given[parameter]
        elif parameter.endswith(("gamma", "var")):
            value = random.uniform(0.3, 1.7, size)
        else:
            fan_in = int(np.prod(size[1:])) if len(size) > 1 and parameter.endswith("weight") else 4
            value = random.normal(size=size) / np.sqrt(fan_in)
        params[parameter] = np.asarray(value, dtype=np.float32).reshape(size)
    sizes = dict(zip(symbol.list_arguments(), shapes))
    labels: dict[str, Shape] = {key: (-1, *size[1:]) for key, size in sizes.items() if key.endswith("label")}
    return from_symbol(symbol, params, {name: shape, **labels})


def pictures(graph: Graph, count: int, seed: int, low: float | None = None, high: float | None = None) -> Array:
    """Random data for the first input: normal, or uniform in [low, high]."""
    random = np.random.default_rng(seed)
    name = next(iter(graph.inputs))
    size = graph.input_shapes(count)[name]
    if low is None:
        return random.normal(size=size).astype(np.float32)
    assert high is not None
    return random.uniform(low, high, size).astype(np.float32)


def compile_network(
    network: Graph,
    recipe: Recipe | None = None,
    low: float | None = None,
    high: float | None = None,
    extra: ExtraBits | None = None,
) -> Compiled:
    """The shipped recipe on random data: verified, calibrated, quantized, compiled, certified.

    Args:
        network: float network.
        recipe: its switches.
        low, high: the data is uniform between these; normal by default.
        extra: layers that take more than 8 bits, in place of the recipe's choice.
    """
    recipe = recipe or Recipe()
    data = pictures(network, CALIBRATION, 2, low, high)
    name = next(iter(network.inputs))
    stages = [*recipe_stages(recipe, Given(data, {name: network.inputs[name]})), Compile(recipe.quantization)]
    given: dict[Product[Any], Any] = {BASE: network}
    progress = Progress(Console(quiet=True))
    if extra is not None:
        have = run_stages(stages, [PREPARED, STATISTICS, SETTINGS], progress, given=given)
        given |= {SETTINGS: replace(have[SETTINGS], extra=extra), RIVAL: None}
        given |= {PREPARED: have[PREPARED], STATISTICS: have[STATISTICS]}
    have = run_stages(stages, [PREPARED, QUANTIZED, COMPILED], progress, given=given)
    compiled = have[COMPILED]
    assert compiled is not None
    return Compiled(network, have[PREPARED], have[QUANTIZED], compiled.model, compiled.certificate, data[:COMPARED])


def check(compiled: Compiled, bar: float) -> None:
    """All that is promised of a compiled network.

    The prepared graph equals the float one, the integer graph on MXNet and the compiled model on `cvm.formal` give the
    same integers for any legal input and batch, int32 cannot overflow, a checkpoint of the integer graph compiles to
    the same model, and the outputs' signal to noise ratio reaches `bar` dB.
    """
    check_prepared(compiled)
    check_bit_exact(compiled)
    assert compiled.certificate.ok, compiled.certificate.verdict()
    check_writable(compiled.model)
    graph = compiled.quantized.graph
    restored = from_symbol(to_symbol(graph), graph.params, graph.inputs)
    again = compile_model(replace(compiled.quantized, graph=restored))
    assert [(n.op, n.name, n.inputs, n.attrs) for n in again.nodes] == [
        (n.op, n.name, n.inputs, n.attrs) for n in compiled.model.nodes
    ]
    measured = signal_to_noise(compiled)
    assert min(measured) >= bar, f"{measured} dB < {bar} dB"


def feed(graph: Graph, data: Array) -> Mapping[str, Array]:
    """The data for the first input and zeros for the others (labels)."""
    inputs = {name: np.zeros(shape, np.float32) for name, shape in graph.input_shapes(len(data)).items()}
    return {**inputs, next(iter(graph.inputs)): data}


def check_writable(model: cvm.Model) -> None:
    """The reference takes the model, and its default build has all its operators."""
    symbol, _ = format.encode(model)
    departures = conformance.departures(symbol, decode(symbol), model)
    assert not [line for line in departures if "cannot be joined" not in line], departures


def check_prepared(compiled: Compiled) -> None:
    """Each output of the prepared graph equals the float network's to float32 rounding."""
    before = Executor(compiled.network)(feed(compiled.network, compiled.data))
    after = Executor(compiled.prepared)(compiled.data)
    assert [a.shape for a in before] == [a.shape for a in after]
    for expected, found in zip(before, after):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()) + 1e-30)


def integer_inputs(compiled: Compiled) -> list[Array]:
    """Quantized data and extreme integers, in batches of 1 and 3."""
    info = compiled.quantized.input
    limit = 2 ** (info.precision - 1) - 1
    real = quantize_input(compiled.data, info)
    random = np.random.default_rng(4)
    shape = (3, *real.shape[1:])
    signs = random.choice([-limit, limit], shape)
    noise = random.integers(-limit, limit, shape, endpoint=True)
    constant = [np.full((1, *shape[1:]), value) for value in (-limit, 0, limit)]
    return [array.astype(np.int32) for array in (real[:1], real[1:4], signs, noise, *constant)]


def check_bit_exact(compiled: Compiled) -> None:
    """MXNet in float64 and `cvm.formal` give the same integers."""
    mxnet = Executor(compiled.quantized.graph, dtype="float64")
    for data in integer_inputs(compiled):
        expected, found = mxnet(data), formal.run(compiled.model, data)
        assert [a.shape for a in expected] == [a.shape for a in found]
        for a, b in zip(expected, found):
            assert (a == np.rint(a)).all()
            np.testing.assert_array_equal(a.astype(np.int64), b)


def signal_to_noise(compiled: Compiled) -> list[float]:
    """The signal to noise ratio in dB of each output; nothing saturates, calibration has seen the data."""
    expected = Executor(compiled.network)(feed(compiled.network, compiled.data))
    found = formal.run(compiled.model, quantize_input(compiled.data, compiled.quantized.input))
    ratios = []
    for real, integers, info in zip(expected, found, compiled.quantized.outputs):
        noise = float(np.square(real - dequantize(integers, info)).sum())
        ratios.append(10 * float(np.log10(np.square(real).sum(dtype=np.float64) / max(noise, 1e-30))))
    return ratios


def variable(name: str, **attributes: Any) -> Any:
    """An MXNet variable."""
    return mx.sym.Variable(name, **attributes)
