"""Builds integer graphs: the only place that emits their nodes, and knows precision and range of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cvm.ops
import numpy as np
from cvm.errors import CVMError
from cvm.ops.base import Range

from mrt.errors import MRTError
from mrt.graph import Array, Graph, Namer, Node, Shape, Value, target_operator
from mrt.integer.form import WIDE_BITS
from mrt.integer.qvalue import IntValue

INT32_BITS = 32
_SHARED_SIZE = 2**16
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


class IntegerBuilder:
    """Makes nodes of the target's operators, named after the node of the float graph that they are for.

    Args:
        graph: an integer graph that the nodes are to go on from, whose names are taken.

    Attributes:
        params: the integer graph's new parameters so far.
        node: the node of the float graph that is being quantized.
    """

    def __init__(self, graph: Graph | None = None) -> None:
        self.params: dict[str, Array] = {}
        self.node: Node | None = None
        self._namer = Namer(graph)
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], IntValue] = {}

    def fresh_name(self, base: str) -> str:
        """A node name that the integer graph does not have yet."""
        return self._namer(base)

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

    def fit(self, value: IntValue, bits: int) -> IntValue:
        """The same integers with an inferred precision of at most `bits`; clips where the proof does not suffice."""
        return value if value.precision <= bits else self.emit("cvm_clip", [value], {"precision": bits})

    def double(self, value: IntValue, times: int) -> IntValue:
        """value * 2^times, with an inferred precision of `times` bits more.

        Not by cvm_left_shift, which the reference's default build does not have. The constant 2^n takes n + 2 bits, of
        which the last two may be more than int32 has: these are additions.
        """
        multiplied = min(times, INT32_BITS - 2 - value.precision)
        if multiplied > 0:
            product = self.emit("broadcast_mul", [value, self.scalar(2**multiplied)])
            value, times = self.fit(product, value.precision + multiplied), times - multiplied
        for _ in range(times):
            value = self.emit("elemwise_add", [value, value])
        return value

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


def _compact(proven: Range, shape: Shape) -> Range:
    """The bounds of a large feature map per channel, not per position: there are many, and all are kept."""
    large = max(proven.lo.size, proven.hi.size) > _SHARED_SIZE
    return proven.along(shape, 1) if large and len(shape) == 4 and not proven.is_constant(shape) else proven


def _common_power(multiplier: Array, addend: Array, shift: int) -> int:
    """How many factors of two multiplier and addend share, at most shift - 1 (rounding needs one bit of shift)."""
    combined = int(np.bitwise_or.reduce(np.concatenate([multiplier.ravel(), np.abs(addend).ravel()])))
    return min((combined & -combined).bit_length() - 1, shift - 1) if combined else 0
