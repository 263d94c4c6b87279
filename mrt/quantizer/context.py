"""Builds the integer graph: the only place that emits integer nodes and tracks what they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cvm.ops
import numpy as np
import sympy
from cvm.errors import CVMError
from cvm.ops.base import Range

from mrt.calibrate.moments import Moments
from mrt.errors import MRTError
from mrt.graph import Array, Graph, Namer, Node, Shape, Value, target_operator
from mrt.ops import Form
from mrt.quantizer.annotate import WIDE_BITS, Annotation
from mrt.quantizer.qvalue import IntValue, QValue, Target
from mrt.quantizer.rounding import Rounding

INT32_BITS = 32
_MULTIPLIER_BITS = 14
_MIN_MULTIPLIER_BITS = 8
_SHARED_SIZE = 2**16
_EXACT_TOLERANCE = 2.0**-10
_WORD_SHIFT = 15  # processors multiply 16-bit words and shift by this, rounded, in one instruction
_FINEST_STEPS = 2**10  # where there is a choice, one step becomes at most this many
_CALLED = {
    "conv2d": "convolution",
    "dense": "fullyconnected",
    "relu": "activation",
    "max_pool2d": "pooling",
    "strided_slice": "slice",
    "concatenate": "concat",
    "broadcast_max": "broadcast_maximum",
    "broadcast_div": "div",
}
"""What nodes are called after the target's operators: as users know these from their network."""


class QuantizeContext:
    """What an operator's quantize rule works with.

    Args:
        graph: the prepared float graph.
        annotation: the forms and scales chosen for its tensors.
        moments: input moments of layers by node name, for rounding weights by effect.
        softmax_lambd: how far below the largest logit softmax still resolves, in nats.
        rounding: how layers with known moments round their weights.
    """

    def __init__(
        self,
        graph: Graph,
        annotation: Annotation,
        softmax_lambd: float = 10.0,
        moments: Mapping[str, Moments] | None = None,
        rounding: Rounding | None = None,
    ) -> None:
        self.moments = moments or {}
        self.rounding = rounding or Rounding()
        self.graph = graph
        self.annotation = annotation
        self.softmax_lambd = softmax_lambd
        self.params: dict[str, Array] = {}
        self.node: Node | None = None
        self.layer_inputs: dict[str, QValue] = {}
        """What each layer reads, by node name, in the form in which it reads it."""
        self._namer = Namer()
        self._values: dict[Value, QValue] = {}
        self._forms: dict[tuple[Value, Target], QValue] = {}
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], IntValue] = {}

    # What is known of the float graph ------------------------------------------------------------------------------

    def constant(self, value: Value) -> Array | None:
        """The array behind a value of the float graph when it is a parameter."""
        return self.graph.constant(value)

    def target(self, node: Node) -> Target:
        """The integer form in which the node's output is to be stored."""
        return self.annotation.target(Value(node))

    def fresh_name(self, base: str) -> str:
        """A node name that the integer graph does not have yet."""
        return self._namer(base)

    # Emission ------------------------------------------------------------------------------------------------------

    def emit(self, op: str, inputs: Sequence[IntValue], attrs: Mapping[str, object] | None = None) -> IntValue:
        """A new node of one output, of an operator of the target; see `emit_all`."""
        (value,) = self.emit_all(op, inputs, attrs)
        return value

    def emit_all(
        self, op: str, inputs: Sequence[IntValue], attrs: Mapping[str, object] | None = None
    ) -> tuple[IntValue, ...]:
        """The outputs of a new node; shapes, precisions and ranges follow from the target's own rules.

        Args:
            op: an operator of the target.
            inputs: what it reads.
            attrs: the target's attributes; each is written with `str`.

        Raises:
            MRTError: the target would refuse the operator.
        """
        assert self.node is not None
        text = {key: str(value) for key, value in (attrs or {}).items()}
        name = self._namer(f"{self.node.name}_{_CALLED.get(op, op.replace('cvm_', ''))}")
        node = Node(target_operator(op), name, tuple(i.value for i in inputs), text, self.node.origin)
        rule, shapes = cvm.ops.get(op), [i.shape for i in inputs]
        try:
            known = zip(
                rule.infer_shape(text, shapes),
                rule.infer_precision(text, [i.precision for i in inputs], shapes),
                rule.infer_range(text, [i.range for i in inputs], shapes),
            )
            return tuple(
                IntValue(Value(node, index), shape, precision, _compact(proven, shape))
                for index, (shape, precision, proven) in enumerate(known)
            )
        except CVMError as error:
            raise MRTError(f"node {self.node.name} ({self.node.op}): {error}") from error

    def param(self, array: Array, precision: int | None = None) -> IntValue:
        """An integer constant; equal constants of one node are shared."""
        assert self.node is not None
        data = np.ascontiguousarray(array, dtype=np.int64)
        proven = Range.constant(data)
        if proven.bits() > INT32_BITS:
            raise MRTError(f"node {self.node.name} ({self.node.op}): a constant does not fit in 32 bits")
        if data.size > _SHARED_SIZE:  # a layer's weights: there is one of each, and remembering them costs memory
            return self._new_param(data, proven, precision)
        key = (self.node.name, data.tobytes(), data.shape)
        if key not in self._constants:
            self._constants[key] = self._new_param(data, proven, precision)
        return self._constants[key]

    def _new_param(self, data: Array, proven: Range, precision: int | None) -> IntValue:
        assert self.node is not None
        name = self._namer(f"{self.node.name}_const")
        self.params[name] = data.astype(np.int32)
        node = Node("null", name, origin=self.node.origin)
        return IntValue(Value(node), data.shape, max(precision or 1, proven.bits()), proven)

    def scalar(self, value: int) -> IntValue:
        """An integer constant of shape (1,)."""
        return self.param(np.array([value]))

    def input(self, node: Node, precision: int, scale: sympy.Rational) -> QValue:
        """The run-time input as an integer tensor."""
        (shape,) = self.graph.input_shapes(1).values()
        limit = 2 ** (precision - 1) - 1
        name = self._namer(node.name)
        value = IntValue(Value(Node("null", name, origin=node.origin)), shape, precision, Range.of(-limit, limit))
        return QValue(value, scale)

    def fit(self, value: IntValue, bits: int) -> IntValue:
        """The same integers with an inferred precision of at most `bits`; clips where the proof does not suffice."""
        return value if value.precision <= bits else self.emit("cvm_clip", [value], {"precision": bits})

    def clamp(self, value: IntValue, low: int, high: int) -> IntValue:
        """min(max(value, low), high); nothing is emitted where the range is proven already."""
        if value.range.min() >= low and value.range.max() <= high:
            return value
        if low >= high or value.range.max() <= low or value.range.min() >= high:
            return self.filled(value, high if value.range.min() >= high else low)
        if low == 0 and value.range.max() <= high:
            return self.emit("relu", [value])
        low, high = max(low, value.range.min()), min(high, value.range.max())
        clipped = self.emit("clip", [value], {"a_min": low, "a_max": high})
        return self.fit(clipped, value.precision)

    def filled(self, like: IntValue, number: int) -> IntValue:
        """A tensor of the shape of `like`, whatever the batch is at run time, with one number everywhere."""
        zero = self.emit("broadcast_mul", [self.fit(like, WIDE_BITS), self.scalar(0)])
        if number == 0:
            return self.fit(zero, 2)
        constant = self.scalar(number)
        return self.fit(self.emit("broadcast_add", [zero, constant]), constant.precision)

    def scale_shift(self, value: IntValue, multiplier: Array, addend: Array, shift: int, precision: int) -> IntValue:
        """(value * multiplier + addend) >> shift, rounded half up, clipped to `precision` bits.

        This is the only requantization there is. Multiplier and addend are integers, scalar or per channel; where the
        product or the addend would not fit in 32 bits the value is shifted first, by as little as possible.
        """
        multiplier = np.atleast_1d(np.asarray(multiplier, dtype=np.int64))
        addend = np.atleast_1d(np.asarray(addend, dtype=np.int64))
        if shift and (common := _common_power(multiplier, addend, shift)):
            multiplier, addend, shift = multiplier >> common, addend >> common, shift - common
        multiplier_bits = 0 if (multiplier == 1).all() else Range.constant(multiplier).bits()
        room = INT32_BITS - multiplier_bits - (1 if addend.any() else 0)
        if value.precision > room and multiplier_bits:
            value = self.fit(value, max(value.bits, 1))
        excess = max(value.precision - room if multiplier_bits else 0, Range.constant(addend).bits() - INT32_BITS + 1)
        if excess > 0:
            if excess >= min(shift, value.precision):
                raise MRTError(f"node {self.node.name if self.node else '?'}: no room to requantize in 32 bits")
            value = self._shift(value, excess, value.precision - excess)
            shift -= excess
            addend = (addend + (1 << excess >> 1)) >> excess
        if multiplier_bits:
            value = self.emit("broadcast_mul", [value, self.param(multiplier)])
        if addend.any():
            value = self.emit("broadcast_add", [self.fit(value, INT32_BITS - 1), self.param(addend)])
        if shift > 0:
            return self._shift(value, shift, precision)
        return self.fit(value, precision)

    def _shift(self, value: IntValue, shift: int, precision: int) -> IntValue:
        return self.emit("cvm_right_shift", [value], {"precision": precision, "shift_bit": shift})

    # Quantized values of the float graph ---------------------------------------------------------------------------

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
        ratio = min(q.scale / target.scale, sympy.Integer(2) ** (target.precision + 4))  # more saturates just the same
        if ratio == 1:
            moved = self.scale_shift(q.tensor, np.array(1), np.array(q.offset - target.offset), 0, target.precision)
            return QValue(moved, target.scale, target.offset)
        room = INT32_BITS - 1 - q.tensor.bits
        bits = _MULTIPLIER_BITS if exactly else min(_MULTIPLIER_BITS, max(room, _MIN_MULTIPLIER_BITS))
        shift = _shift_for(float(ratio), bits)
        ceiling = INT32_BITS - 2 - target.offset.bit_length()
        if q.tensor.range.magnitude() < 2 ** (ceiling - 2):
            shift = min(shift, ceiling)  # keeps the addend small; what the multiplier loses is below a quarter step
        if not exactly and target.precision <= 8 and ratio * 2**_WORD_SHIFT >= 2**7:
            shift = min(shift, _WORD_SHIFT)  # the scale moves by 1/256 at most
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


def _compact(proven: Range, shape: Shape) -> Range:
    """The bounds of a large feature map per channel, not per position: there are many, and all are kept."""
    large = max(proven.lo.size, proven.hi.size) > _SHARED_SIZE
    return proven.along(shape, 1) if large and len(shape) == 4 and not proven.is_constant(shape) else proven


def _shift_for(ratio: float, bits: int) -> int:
    """The largest shift s for which ratio * 2^s still fits in a `bits`-bit multiplier, within 0..31."""
    return min(31, max(0, math.floor(math.log2((2 ** (bits - 1) - 1) / ratio))))


def _common_power(multiplier: Array, addend: Array, shift: int) -> int:
    """How many factors of two multiplier and addend share, at most shift - 1 (rounding needs one bit of shift)."""
    combined = int(np.bitwise_or.reduce(np.concatenate([multiplier.ravel(), np.abs(addend).ravel()])))
    return min((combined & -combined).bit_length() - 1, shift - 1) if combined else 0
