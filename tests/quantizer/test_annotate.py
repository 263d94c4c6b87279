"""Which tensors are stored, in which form, on which scale; and what the settings change."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm import formal
from toolchain import check_bit_exact, compile_network, pictures, random_network, signal_to_noise

from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.coverage import Coverage
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.graph import Graph, Node, Value
from mrt.integer.annotation import Annotation
from mrt.integer.form import Form
from mrt.integer.tensor_info import quantize_input
from mrt.quantizer.annotate import annotate
from mrt.quantizer.quantize import QuantizeSettings, quantize
from mrt.recipe import Recipe
from mrt.statistics.tensor import Statistics
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager

sym = mx.sym
IMAGE = (-1, 4, 6, 6)
DATA = sym.Variable("data")


def conv(x: Any, name: str, **more: Any) -> Any:
    return sym.Convolution(x, **{"num_filter": 4, "kernel": (3, 3), "pad": (1, 1), "name": name, **more})


def relu(x: Any, name: str) -> Any:
    return sym.Activation(x, act_type="relu", name=name)


def annotated(symbol: Any, shape: tuple[int, ...] = IMAGE, **options: Any) -> tuple[Annotation, dict[str, Value]]:
    prepared = PassManager(PREPARE).run(random_network(symbol, shape))
    statistics = calibrate(prepared, [pictures(prepared, 64, 0)])
    values = {name: Value(node) for node in prepared.nodes() for name in (node.name, *node.origin)}
    return annotate(prepared, statistics, **options), values


def test_a_tensor_read_only_by_clamps_is_not_stored() -> None:
    chained = sym.clip(relu(conv(DATA, "first"), "relu"), 0, 6, name="clip")
    annotation, values = annotated(conv(chained, "second"))
    assert annotation.carrier(values["first"]) == values["clip"]
    assert annotation.carrier(values["relu"]) == values["clip"]
    assert annotation.carrier(values["second"]) == values["second"]


def test_a_tensor_with_other_readers_or_that_is_an_output_is_stored() -> None:
    first = conv(DATA, "first")
    annotation, values = annotated(sym.Group([conv(relu(first, "relu"), "second"), conv(first, "third")]))
    assert annotation.carrier(values["first"]) == values["first"]
    annotation, values = annotated(sym.Group([relu(first, "relu"), first]))
    assert annotation.carrier(values["first"]) == values["first"]


def test_what_only_layers_read_is_narrow_and_the_rest_wide() -> None:
    first = relu(conv(DATA, "first"), "relu")
    pooled = sym.Pooling(first, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
    second = conv(pooled, "second")
    annotation, values = annotated(second + sym.tanh(second, name="tanh"))
    assert annotation.form(values["relu"]) is Form.NARROW, "operators that only move values pass the wish on"
    assert annotation.form(values["pool"]) is Form.NARROW
    assert annotation.form(values["second"]) is Form.WIDE
    assert annotation.form(values["data"]) is Form.NARROW
    assert annotation.target(values["relu"]).precision == 8
    assert annotation.target(values["second"]).precision == 16


def test_outputs_are_wide_even_through_movement() -> None:
    annotation, values = annotated(sym.Flatten(conv(DATA, "first"), name="flat"))
    assert annotation.form(values["first"]) is Form.WIDE


def test_the_residual_stream_is_on_one_scale() -> None:
    first = conv(DATA, "first")
    second = first + conv(relu(first, "r1"), "a") * 8
    third = second + conv(relu(second, "r2"), "b")
    annotation, values = annotated(sym.Group([third, conv(third, "last")]))
    scales = {annotation.wide(value).scale for name, value in values.items() if name in ("first", "a", "b")}
    assert len(scales) == 1
    assert annotation.wide(values["last"]).scale not in scales


def test_concatenated_tensors_share_their_narrow_scale() -> None:
    joined = sym.Concat(relu(conv(DATA, "a"), "ra"), relu(conv(DATA, "b") * 5, "rb"), name="cat")
    annotation, values = annotated(conv(joined, "last"))
    assert annotation.narrow(values["ra"]) == annotation.narrow(values["rb"]) == annotation.narrow(values["cat"])


def test_one_sided_ranges_use_all_the_integers() -> None:
    annotation, values = annotated(conv(relu(conv(DATA, "first"), "relu"), "second"))
    form = annotation.narrow(values["relu"])
    largest = annotation.statistics(values["relu"]).maximum
    assert form.offset == 127
    assert float(form.scale) == pytest.approx(largest / 254, rel=1e-6)
    symmetric = annotation.narrow(values["data"])
    assert symmetric.offset == 0


def test_user_thresholds_go_by_node_or_origin() -> None:
    symbol = conv(sym.BatchNorm(conv(DATA, "first"), fix_gamma=False, name="bn"), "second")
    for name in ("first", "bn"):
        annotation, values = annotated(symbol, coverage=Coverage(thresholds={name: 0.25}))
        assert float(annotation.narrow(values["first"]).scale) == pytest.approx(0.25 / 127, rel=1e-6)
    assert float(annotation.narrow(values["data"]).scale) > 0.25 / 127


def test_lambda_is_standard_deviations_above_the_mean_but_never_above_the_largest() -> None:
    annotation, values = annotated(conv(DATA, "first"), coverage=Coverage("lambda", lambda_=1.5))
    seen = annotation.statistics(values["data"])
    assert float(annotation.inputs[values["data"]].scale) * 127 == pytest.approx(
        abs(seen.mean) + 1.5 * seen.std, rel=1e-5
    )
    annotation, values = annotated(conv(DATA, "first"), coverage=Coverage("lambda", lambda_=1000.0))
    largest = max(-seen.minimum, seen.maximum)
    assert float(annotation.inputs[values["data"]].scale) * 127 == pytest.approx(largest, rel=1e-5)


def test_statistics_of_another_network_are_refused() -> None:
    prepared = PassManager(PREPARE).run(random_network(conv(DATA, "first"), IMAGE))
    with pytest.raises(MRTError, match=r"^node \w+: no calibration statistics$"):
        quantize(prepared, {})


NETWORK = random_network(
    sym.softmax(
        sym.FullyConnected(relu(conv(DATA, "first"), "relu"), num_hidden=5, name="dense") * 8, name="probability"
    ),
    IMAGE,
)


@pytest.mark.parametrize("bits", [2, 4, 6, 8, 12, 16])
def test_input_and_output_precision(bits: int) -> None:
    compiled = compile_network(NETWORK, Recipe(input_precision=bits, output_precision=bits))
    assert compiled.model.precisions["data"] == compiled.quantized.input.precision == bits
    (output,) = compiled.quantized.outputs
    assert output.precision <= bits
    check_bit_exact(compiled)
    assert compiled.certificate.ok
    assert signal_to_noise(compiled)[0] > (25 if bits >= 8 else 3 * bits - 6)


def test_softmax_lambd_says_how_far_below_the_largest_logit_softmax_resolves() -> None:
    near, far = (compile_network(NETWORK, Recipe(softmax_lambd=value)) for value in (2.0, 10.0))
    assert signal_to_noise(far)[0] > signal_to_noise(near)[0] + 5
    nothing = [
        int((formal.run(each.model, quantize_input(each.data, each.quantized.input))[0] == 0).sum())
        for each in (near, far)
    ]
    assert nothing[0] > nothing[1]  # what is further below counts as nothing


def test_restored_operators_stay_in_float_and_cannot_be_compiled() -> None:
    prepared = PassManager(PREPARE).run(NETWORK)
    data = pictures(prepared, 64, 0)
    statistics = calibrate(prepared, [data])

    def noise(*names: str) -> float:
        quantized = quantize(prepared, statistics, QuantizeSettings(restore_name=names))
        (found,) = Executor(quantized.graph, dtype="float64")(quantize_input(data, quantized.input))
        info = quantized.outputs[0]
        real = (found + info.offset) * float(info.scale)
        return float(np.square(real - Executor(prepared)(data)[0]).sum())

    everything = noise()
    assert noise("_OP_Convolution", "dense", "probability", "relu") < everything
    assert noise("_ALL_EXCEPT_", "probability") < everything
    with pytest.raises(MRTError, match="left in float: the network has no node nobody"):
        noise("nobody")
    with pytest.raises(MRTError):
        compile_model(quantize(prepared, statistics, QuantizeSettings(restore_name=("dense",))))


def test_unread_inputs_and_outputs_without_input_are_refused() -> None:
    x = Value(Node("null", "x", origin=("x",)))
    twice = Value(Node("elemwise_add", "twice", (x, x)))
    seen = {name: Statistics.of(np.ones((1, 2), np.float32)) for name in ("x", "twice")}
    with pytest.raises(MRTError, match="the network's outputs do not depend on its input y"):
        quantize(Graph((twice,), {}, {"x": (-1, 2), "y": (-1, 2)}), seen)
    both = sym.Group([conv(DATA, "first"), sym.Variable("w", shape=(3, 3)) * 2])
    prepared = PassManager(PREPARE).run(random_network(both, IMAGE))
    with pytest.raises(MRTError, match="does not depend on the input"):
        quantize(prepared, calibrate(prepared, [pictures(prepared, 8, 0)]))
