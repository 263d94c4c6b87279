"""In which integer form each tensor of a prepared graph will live; `mrt.quantizer.annotate` decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mrt.errors import MRTError, Remedy
from mrt.graph import Node, Shape, Value
from mrt.integer.form import NARROW_BITS, ExtraBits, Form
from mrt.integer.qvalue import Target
from mrt.statistics.tensor import Statistics


@dataclass(frozen=True)
class Annotation:
    """The forms and scales of every tensor of a prepared graph.

    Attributes:
        shapes: of every value, at batch 1.
        use_counts: how often a value is read, where it is.
        calibrated: statistics, by the name of a value.
        extra: layers that take more than 8 bits.
        carriers: the value that is stored in place of another one.
        forms: NARROW, WIDE or INDEX of stored values; NARROW where nothing is said.
        narrows: the 8-bit form of every stored value, with an offset where its range is one-sided.
        wides: likewise the 16-bit form, which has none.
        groups: the stored values on whose ranges the 8-bit form of one depends.
        inputs: the form of each run-time input.
        bits: of layers that take fewer than 8, by node name: of their weights and of what they read.
    """

    shapes: Mapping[Value, Shape]
    use_counts: Mapping[Value, int]
    calibrated: Mapping[str, Statistics]
    extra: ExtraBits
    carriers: Mapping[Value, Value]
    forms: Mapping[Value, Form]
    narrows: Mapping[Value, Target]
    wides: Mapping[Value, Target]
    groups: Mapping[Value, tuple[Value, ...]]
    inputs: Mapping[Value, Target]
    bits: Mapping[str, int] = field(default_factory=dict)

    def shape(self, value: Value) -> Shape:
        """The value's shape at batch 1."""
        return self.shapes[value]

    def uses(self, value: Value) -> int:
        """How often the value is read."""
        return self.use_counts.get(value, 0)

    def carrier(self, value: Value) -> Value:
        """The value that is stored in place of this one."""
        return self.carriers.get(value, value)

    def form(self, value: Value) -> Form:
        """NARROW, WIDE or INDEX."""
        return self.forms.get(self.carrier(value), Form.NARROW)

    def target(self, value: Value) -> Target:
        """The integer form in which the value (its carrier) is to be stored."""
        return self.wide(value) if self.form(value) is Form.WIDE else self.narrow(value)

    def sharing(self, value: Value) -> tuple[Value, ...]:
        """The stored values on whose ranges the value's narrow form depends."""
        return self.groups[self.carrier(value)]

    def narrow(self, value: Value) -> Target:
        """The 8-bit form of a value."""
        return self.narrows[self.carrier(value)]

    def wide(self, value: Value) -> Target:
        """The 16-bit symmetric form of a value."""
        return self.wides[self.carrier(value)]

    def weight_bits(self, node: Node) -> int:
        """How many bits a layer's weights have."""
        return self.bits.get(node.name, NARROW_BITS)

    def statistics(self, value: Value) -> Statistics:
        """The calibration statistics of a value."""
        found = self.calibrated.get(value.name)
        if found is None:
            raise MRTError(f"node {value.node.name}: no calibration statistics", Remedy.CALIBRATE_AGAIN)
        return found
