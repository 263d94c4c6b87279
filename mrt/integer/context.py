"""What an operator's quantize rule works with: the builder, and what stands for each value of the float graph."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import sympy
from cvm.ops.base import Range, limit

from mrt.errors import MRTError
from mrt.graph import Array, Graph, Node, Value
from mrt.integer.annotation import Annotation
from mrt.integer.builder import INT32_BITS, IntegerBuilder
from mrt.integer.form import WIDE_BITS, Form
from mrt.integer.pixels import PerChannel
from mrt.integer.qvalue import IntValue, QValue, Target
from mrt.integer.rounding import Rounding
from mrt.integer.tensor_info import TensorInfo
from mrt.statistics.moments import Moments

_MULTIPLIER_BITS = 14  # bits with sign: it is 2^12 at least, so rounding it moves a scale by 2^-13 of itself at most
_MIN_MULTIPLIER_BITS = 8  # bits with sign, however wide the value: the scale moves by 2^-7 of itself at most
_EXACT_TOLERANCE = 2.0**-10  # of a scale that has to be met: by how much it may be missed
_WORD_SHIFT = 15  # bits: processors multiply 16-bit words and shift by this, rounded, in one instruction
_WORD_MULTIPLIER = 2**7  # the least multiplier for which that is worth it: the scale moves by 2^-8 of itself at most
_FINEST_STEPS = 2**10  # target's steps: one step of the value becomes so many at most where there is a choice
_SATURATING_BITS = 4  # bits: a step of the value that is 2^4 times the whole target leaves nothing but 0 unsaturated
_SHIFT_BITS = 31  # bits: an INT32 has no more to shift out
_ADDEND_BITS = 2  # bits of the addend's 32 that are left free: its sign, and the carry of the sum
_QUARTER_BITS = 2  # bits: what rounding the multiplier loses, times the value, is below 2^-2 steps of the target


class QuantizeContext(IntegerBuilder):
    """Quantizes the values of a prepared float graph.

    Args:
        graph: the prepared float graph.
        annotation: the forms and scales chosen for its tensors.
        softmax_lambda: how far below the largest logit softmax still resolves, in nats.
        moments: input moments of layers by node name, for rounding weights by effect.
        rounding: how layers with known moments round their weights.

    Attributes:
        layer_inputs: what each layer reads, by node name, in the form in which it reads it.
    """

    def __init__(
        self,
        graph: Graph,
        annotation: Annotation,
        softmax_lambda: float = 10.0,
        moments: Mapping[str, Moments] | None = None,
        rounding: Rounding | None = None,
    ) -> None:
        super().__init__()
        self.moments = moments or {}
        self.rounding = rounding or Rounding()
        self.graph = graph
        self.annotation = annotation
        self.softmax_lambda = softmax_lambda
        self.layer_inputs: dict[str, QValue] = {}
        self._values: dict[Value, QValue] = {}
        self._forms: dict[tuple[Value, Target], QValue] = {}

    def constant(self, value: Value) -> Array | None:
        """The array behind a value of the float graph when it is a parameter."""
        return self.graph.constant(value)

    def target(self, node: Node) -> Target:
        """The integer form in which the node's output is to be stored."""
        return self.annotation.target(Value(node))

    def input(self, node: Node, info: TensorInfo, per_channel: PerChannel | None = None) -> QValue:
        """The run-time input as an integer tensor; `per_channel` where that says what pixels mean."""
        shape = self.graph.input_shapes(1)[node.name]
        name = self.fresh_name(node.name)
        value = IntValue(
            Value(Node("null", name, origin=node.origin)),
            shape,
            info.precision,
            Range.of(-limit(info.precision), limit(info.precision)),
        )
        if per_channel is not None:
            return QValue(value, sympy.Integer(1), 0, per_channel)
        return QValue(value, info.scale, info.offset)

    def stored(self) -> dict[Value, QValue]:
        """What stands for every value of the float graph that is stored: all but those that a clamp absorbs."""
        return {value: q for value, q in self._values.items() if self.annotation.carrier(value) == value}

    def computed(self) -> dict[Value, QValue]:
        """What stands for every value of the float graph, those that a clamp absorbs included."""
        return dict(self._values)

    def set(self, value: Value, q: QValue) -> None:
        """Record what stands for a value of the float graph."""
        self._values[value] = q

    def get(self, value: Value) -> QValue:
        """What stands for a value of the float graph, in whatever form its producer left it."""
        if value not in self._values:
            raise MRTError(f"node {value.node.name}: a constant where the network's data is expected")
        return self._values[value]

    def narrow(self, value: Value) -> QValue:
        """The value in at most 8 bits."""
        q = self.get(value)
        target = self.annotation.narrow(value)
        return q if q.tensor.precision <= target.precision else self._cached(value, target, exactly=False)

    def layer_input(self, node: Node) -> QValue:
        """What a convolution or dense layer reads: at most 8 bits, or 16 where that layer was given more."""
        wide = node.name in self.annotation.extra.inputs
        q = self.layer_inputs[node.name] = (self.wide if wide else self.narrow)(node.inputs[0])
        return q

    def wide(self, value: Value) -> QValue:
        """The value in at most 16 bits, without offset."""
        q = self.centered(self.get(value))
        return q if q.tensor.precision <= WIDE_BITS else self._cached(value, self.annotation.wide(value), exactly=False)

    def at(self, value: Value, target: Target) -> QValue:
        """The value in exactly the given form."""
        return self._cached(value, target, exactly=True)

    def like_output(self, node: Node, index: int = 0) -> QValue:
        """An input of the node in the form that the node's output is wanted in."""
        value, form = node.inputs[index], self.annotation.form(Value(node))
        if form is Form.INDEX:
            return self.get(value)
        return self.wide(value) if form is Form.WIDE else self.narrow(value)

    def centered(self, q: QValue) -> QValue:
        """The same values with offset 0."""
        if q.offset == 0:
            return q
        return QValue(self.emit("broadcast_add", [q.tensor, self.scalar(q.offset)]), q.scale)

    def _cached(self, value: Value, target: Target, exactly: bool) -> QValue:
        key = (value, target)
        if key not in self._forms:
            self._forms[key] = self.rescale(self.get(value), target, exactly)
        return self._forms[key]

    def rescale(self, q: QValue, target: Target, exactly: bool = False) -> QValue:
        """The same real tensor in another integer form.

        real = S (q + o) = S' (q' + o'), so q' = (m q + m o - o' 2^s) 2^-s with m 2^-s = S / S'. The multiplier m is
        rounded to a few bits; the result's scale is then exactly S 2^s / m, unless `exactly` asks to call it S'.

        Raises:
            MRTError: `exactly` can be met neither to 2^-10 nor to one step of the target.
        """
        if not exactly:
            target = target.no_finer_than(float(q.scale) / _FINEST_STEPS)
        ratio = min(q.scale / target.scale, sympy.Integer(2) ** (target.precision + _SATURATING_BITS))
        if ratio == 1:
            moved = self.scale_shift(q.tensor, np.array(1), np.array(q.offset - target.offset), 0, target.precision)
            return QValue(moved, target.scale, target.offset)
        room = INT32_BITS - 1 - q.tensor.bits
        bits = _MULTIPLIER_BITS if exactly else min(_MULTIPLIER_BITS, max(room, _MIN_MULTIPLIER_BITS))
        shift = _shift_for(float(ratio), bits)
        ceiling = INT32_BITS - _ADDEND_BITS - target.offset.bit_length()
        if q.tensor.range.magnitude() < 2 ** (ceiling - _QUARTER_BITS):
            shift = min(shift, ceiling)  # so that the addend, about target.offset 2^shift, fits
        if not exactly and target.precision <= 8 and ratio * 2**_WORD_SHIFT >= _WORD_MULTIPLIER:
            shift = min(shift, _WORD_SHIFT)
        multiplier = max(1, round(float(ratio * 2**shift)))
        scale = q.scale * 2**shift / multiplier
        if exactly:
            error = abs(float(sympy.Integer(multiplier) / (ratio * 2**shift)) - 1)
            steps = error * float(ratio) * q.tensor.range.magnitude()
            if error > _EXACT_TOLERANCE and steps > 1:
                name = self.node.name if self.node else "?"
                raise MRTError(
                    f"node {name}: scales {float(q.scale):.3g} and {float(target.scale):.3g} are too far apart"
                )
            scale = target.scale
        if multiplier.bit_length() + 1 - room >= shift:
            q = self._unsaturated(q, target, float(ratio))
        addend = multiplier * q.offset - target.offset * 2**shift
        moved = self.scale_shift(q.tensor, np.array(multiplier), np.array(addend), shift, target.precision)
        return QValue(moved, scale, target.offset)

    def _unsaturated(self, q: QValue, target: Target, ratio: float) -> QValue:
        """The same values, but for a clip of those that saturate in a target of much smaller steps."""
        q = self.centered(q)
        return QValue(self.fit(q.tensor, max(2, target.precision + 2 - math.floor(math.log2(ratio)))), q.scale)


def _shift_for(ratio: float, bits: int) -> int:
    """The largest shift s, of those there are, for which ratio * 2^s still fits in a `bits`-bit multiplier."""
    return min(_SHIFT_BITS, max(0, math.floor(math.log2((2 ** (bits - 1) - 1) / ratio))))
