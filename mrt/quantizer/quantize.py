"""Turns a prepared, calibrated float graph into an integer graph."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy

from mrt import ops
from mrt.calibrate.coverage import Coverage
from mrt.errors import MRTError
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import refuse
from mrt.graph.batch import Feed
from mrt.integer.annotation import Annotation
from mrt.integer.context import QuantizeContext
from mrt.integer.form import NARROW_BITS, WIDE_BITS, ExtraBits, Form
from mrt.integer.pixels import PerChannel, Pixels
from mrt.integer.qvalue import QValue, Target
from mrt.integer.rounding import Rounding
from mrt.integer.tensor_info import TensorInfo, dequantize, quantize_input
from mrt.quantizer.annotate import annotate
from mrt.quantizer.pixel_inputs import takes_pixels
from mrt.quantizer.restore import float_node, restored_nodes
from mrt.statistics.moments import Moments
from mrt.statistics.tensor import Statistics


@dataclass(frozen=True)
class Quantized:
    """An integer graph with the meaning of its inputs and outputs.

    What follows the outputs says what became of the prepared graph; it is empty after a checkpoint.

    Attributes:
        graph: the integer graph.
        inputs: what the integers of its inputs mean, in the graph's order.
        outputs: likewise of the outputs.
        stored: what stands for each value of the prepared graph that is stored.
        computed: likewise of every value, those that the saturation of a clamp's result stands in for included.
        layer_inputs: what each convolution and dense layer reads, by node name.
    """

    graph: Graph
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    stored: Mapping[Value, QValue] = field(default_factory=dict)
    computed: Mapping[Value, QValue] = field(default_factory=dict)
    layer_inputs: Mapping[str, QValue] = field(default_factory=dict)

    @property
    def input(self) -> TensorInfo:
        """The meaning of the only input; ValueError where there are several."""
        (info,) = self.inputs
        return info

    def integers(self, feed: Feed) -> Feed:
        """A batch of real inputs to the integers that stand for them."""
        if not isinstance(feed, Mapping):
            return quantize_input(feed, self.input)
        return {info.name: quantize_input(feed[info.name], info) for info in self.inputs}

    def real(self, outputs: Sequence[Array]) -> list[Array]:
        """What the integers of the outputs stand for."""
        return [dequantize(array, info) for array, info in zip(outputs, self.outputs)]

    def meant(self, floats: Sequence[Array]) -> list[Array]:
        """The float network's outputs as these of the integer one have them: classes where they are such."""
        infos = zip(floats, self.outputs)
        return [scores if info.classes is None else scores.argmax(axis=1).astype(np.int32) for scores, info in infos]

    def describe(self) -> str:
        """The inputs' and outputs' meaning as JSON, and that of the tensors between, for those who look at them."""
        parts = {"inputs": self.inputs, "outputs": self.outputs}
        document: dict[str, object] = {name: [info.to_json() for info in infos] for name, infos in parts.items()}
        tensors = [(q.tensor.value, q) for q in self.stored.values()]
        document["tensors"] = {value.name: [str(q.scale), q.offset] for value, q in tensors}
        return json.dumps(document, indent=1)


@dataclass(frozen=True)
class QuantizeSettings:
    """What the user can choose about quantization.

    Attributes:
        input_precision: bits of the input.
        output_precision: bits of the outputs; None leaves them what they need.
        coverage: what each tensor's integers are to cover.
        offsets: whether one-sided 8-bit tensors may have an offset.
        rounding: of the layers whose input moments are known; the others round to the nearest.
        softmax_lambda: how far below the largest logit softmax resolves, in nats.
        restore_name: what is left in float.
        extra: layers that take more than 8 bits.
        bits: of layers that take fewer than 8, by node name of the prepared graph.
        whole: inputs whose values are whole numbers already, and taken as they are.
        pixels: inputs that are made of the bytes of pictures, and take these where the network allows.
    """

    input_precision: int = 8
    output_precision: int | None = None
    coverage: Coverage = field(default_factory=lambda: Coverage("mse"))
    offsets: bool = True
    rounding: Rounding = field(default_factory=Rounding)
    softmax_lambda: float = 10.0
    restore_name: Sequence[str] = ()
    extra: ExtraBits = field(default_factory=ExtraBits)
    whole: frozenset[str] = frozenset()
    pixels: Mapping[str, Pixels] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)


def quantize(
    graph: Graph,
    statistics: Mapping[str, Statistics],
    settings: QuantizeSettings | None = None,
    moments: Mapping[str, Moments] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Quantized:
    """The integer graph that stands for `graph`.

    Args:
        graph: prepared float graph.
        statistics: calibration statistics by value name.
        settings: precisions and thresholds.
        moments: input moments of the layers (`mrt.calibrate.gather`), to round weights by their effect.
        advance: called with the number of nodes done.

    Raises:
        MRTError: an operator has no integer form, or the target would refuse what it became.
    """
    settings = settings or QuantizeSettings()
    annotation = annotate(
        graph,
        statistics,
        settings.coverage,
        settings.extra,
        settings.offsets,
        settings.input_precision,
        settings.bits,
    )
    ctx = QuantizeContext(graph, annotation, settings.softmax_lambda, moments, settings.rounding)
    described: dict[str, TensorInfo] = {}
    in_float = restored_nodes(graph, settings.restore_name)
    for node in graph.nodes():
        if node.name in graph.inputs:
            ctx.node, (info, meaning) = node, _input(node, graph, annotation, settings)
            ctx.set(Value(node), ctx.input(node, info, meaning))
            described[node.name] = info
        elif not node.is_variable:
            ctx.node = node
            rule = float_node if node in in_float else ops.get(node.op).quantize
            results = rule(node, ctx)
            for index, q in enumerate(results if isinstance(results, tuple) else (results,)):
                ctx.set(Value(node, index), _stored(Value(node, index), q, ctx))
        advance(1)
    unread = [name for name in graph.inputs if name not in described]
    if unread or not described:
        raise MRTError(f"the network's outputs do not depend on its input{f' {unread[0]}' if unread else ''}")
    outputs = [_output(value, ctx, settings.output_precision) for value in graph.outputs]
    params = dict(ctx.params)
    integer = Graph(tuple(q.tensor.value for q in outputs), params, graph.inputs).pruned()
    infos = tuple(
        TensorInfo(value.name, q.scale, q.offset, q.tensor.precision) for value, q in zip(graph.outputs, outputs)
    )
    inputs = tuple(described[name] for name in graph.inputs)
    return Quantized(integer, inputs, infos, ctx.stored(), ctx.computed(), ctx.layer_inputs)


def _input(
    node: Node, graph: Graph, annotation: Annotation, settings: QuantizeSettings
) -> tuple[TensorInfo, PerChannel | None]:
    """What the integers of an input mean, and of pixels that are not alike, what they mean in each channel.

    Whole numbers, of rows too, are themselves, in as many bits as they need.
    """
    value, pixels = Value(node), settings.pixels.get(node.name)
    asked_otherwise = settings.input_precision != NARROW_BITS or settings.coverage.settled(value)
    if pixels is not None and not asked_otherwise:
        channels = annotation.shape(value)[1]
        if takes_pixels(graph, value, pixels, channels):
            info = TensorInfo.of_pixels(node.name, pixels, NARROW_BITS)
            return info, None if pixels.alike else PerChannel.of(pixels, channels)
    target = _input_target(node, graph, annotation, settings)
    return TensorInfo(node.name, target.scale, target.offset, target.precision, _rows(node, graph)), None


def _input_target(node: Node, graph: Graph, annotation: Annotation, settings: QuantizeSettings) -> Target:
    value = Value(node)
    if node.name not in settings.whole:
        return annotation.inputs[value]
    known, rows = annotation.statistics(value), _rows(node, graph)
    if rows is not None and (known.minimum < 0 or known.maximum >= rows):
        beyond = known.minimum if known.minimum < 0 else known.maximum
        raise MRTError(f"input {node.name}: the data holds {beyond:g}, and it must be a number from 0 to {rows - 1}")
    largest = int(max(known.threshold(), (rows or 0) - 1))
    precision = max(2, largest.bit_length() + 1)
    if precision > WIDE_BITS:
        raise MRTError(f"input {node.name}: whole numbers up to {largest} need more than {WIDE_BITS} bits")
    return Target(sympy.Integer(1), 0, precision)


def _rows(node: Node, graph: Graph) -> int | None:
    """How many rows the embeddings have, at least, that read an input; None where there is none."""
    tables = [user.inputs[1] for user in graph.consumers().get(Value(node), []) if user.op == "Embedding"]
    return min((len(table) for table in map(graph.constant, tables) if table is not None), default=None)


def _stored(value: Value, q: QValue, ctx: QuantizeContext) -> QValue:
    """A tensor with several readers is brought to its stored form once; a single reader brings it to its own."""
    if ctx.annotation.uses(value) < 2 or q.tensor.precision <= WIDE_BITS:
        return q
    if ctx.annotation.form(value) is Form.WIDE:
        return ctx.rescale(q, ctx.annotation.wide(value), exactly=True)
    return ctx.rescale(q, ctx.annotation.narrow(value))


def _output(value: Value, ctx: QuantizeContext, precision: int | None) -> QValue:
    if ctx.constant(value) is not None:
        raise refuse(value.node, "an output that does not depend on the input is not supported")
    ctx.node = value.node
    q = ctx.wide(value)
    if precision is None or q.tensor.precision <= precision:
        return q
    largest = ctx.annotation.statistics(value).threshold()
    if q.scale == 1 and largest < 2 ** (precision - 1):  # class numbers stay what they are
        return QValue(ctx.fit(q.tensor, precision), q.scale)
    return ctx.rescale(q, Target.symmetric(largest, precision))
