"""Decides, before anything is quantized, in which integer form each tensor of the prepared network will live.

Three decisions, each a backward or union walk over the graph:

1. carrier: a tensor read only by a clamp (ReLU, ReLU6) is never stored; what is stored is the clamp's result.
2. form: narrow (8 bits) where only convolutions and dense layers read it, wide (16 bits) where anything else does, or a
   layer that is given extra bits; the integers themselves where they number the rows of a table.
3. scale: tensors that an operator ties together share one. Concatenation and operators that only move values tie the
   narrow form; additions, in addition, tie the wide form, so the whole residual stream is on one scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from mrt import ops
from mrt.calibrate.ranges import Ranges
from mrt.calibrate.statistics import Statistics
from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Shape, Value
from mrt.ops import Form
from mrt.quantizer.limbs import ExtraBits
from mrt.quantizer.qvalue import Target, exact

NARROW_BITS = 8
WIDE_BITS = 16
_HEADROOM = 2  # the wide form represents twice the calibrated range: sums of unseen pictures rarely saturate
_ADDITIVE = ("elemwise_add", "elemwise_sub", "broadcast_add", "broadcast_sub")
_TINY = 1e-6
_ASYMMETRY_GAIN = 0.9


class _Unions:
    def __init__(self) -> None:
        self._parent: dict[Value, Value] = {}

    def find(self, value: Value) -> Value:
        while (parent := self._parent.get(value, value)) != value:
            value = parent
        return value

    def tie(self, a: Value, b: Value) -> None:
        root_a, root_b = self.find(a), self.find(b)
        if root_a != root_b:
            self._parent[root_a] = root_b


class Annotation:
    """The forms and scales of every tensor of a prepared graph.

    Args:
        graph: prepared graph.
        statistics: calibration statistics by value name.
        ranges: what each tensor's integers are to cover; by default all that was seen.
        extra: layers that take more than 8 bits.
        offsets: whether one-sided narrow tensors may have an offset.
    """

    def __init__(
        self,
        graph: Graph,
        statistics: Mapping[str, Statistics],
        ranges: Ranges | None = None,
        extra: ExtraBits | None = None,
        offsets: bool = True,
    ) -> None:
        self.extra = extra or ExtraBits()
        self._graph = graph
        self._statistics = statistics
        self._ranges = ranges or Ranges()
        self._offsets = offsets
        self._uses = graph.use_counts()
        self._shapes = infer_shapes(graph)
        self._carrier = self._find_carriers()
        self._form = self._find_forms()
        self._narrow_ties, self._wide_ties = _Unions(), _Unions()
        self._tie()
        self._range: dict[Value, tuple[float, float]] = {}
        self._narrow_range: dict[Value, tuple[float, float]] = {}
        self._wide_limit: dict[Value, float] = {}
        for value in self._stored():
            low, high = self._range[value] = self._ranges(value, self.statistics(value))
            root = self._narrow_ties.find(value)
            known = self._narrow_range.get(root, (low, high))
            self._narrow_range[root] = (min(low, known[0]), max(high, known[1]))
            root = self._wide_ties.find(value)
            full = self._statistics[value.name].threshold()
            self._wide_limit[root] = max(full, self._wide_limit.get(root, _TINY))

    def shape(self, value: Value) -> Shape:
        """The value's shape at batch 1."""
        return self._shapes[value]

    def uses(self, value: Value) -> int:
        """How often the value is read."""
        return self._uses.get(value, 0)

    def carrier(self, value: Value) -> Value:
        """The value that is stored in place of this one."""
        return self._carrier.get(value, value)

    def form(self, value: Value) -> Form:
        """NARROW, WIDE or INDEX."""
        return self._form.get(self.carrier(value), Form.NARROW)

    def target(self, value: Value) -> Target:
        """The integer form in which the value (its carrier) is to be stored."""
        return self.wide(value) if self.form(value) is Form.WIDE else self.narrow(value)

    def sharing(self, value: Value) -> tuple[Value, ...]:
        """The stored values on whose ranges the value's narrow form depends."""
        root = self._narrow_ties.find(self.carrier(value))
        return tuple(other for other in self._range if self._narrow_ties.find(other) == root)

    def narrow(self, value: Value) -> Target:
        """The 8-bit form of a value, with an offset where its range is one-sided."""
        low, high = self._narrow_range[self._narrow_ties.find(self.carrier(value))]
        low, high = min(low, 0.0), max(high, 0.0)
        limit = 2 ** (NARROW_BITS - 1) - 1
        symmetric = max(-low, high, _TINY) / limit
        skewed = max(high - low, _TINY) / (2 * limit)
        if self._offsets and skewed < _ASYMMETRY_GAIN * symmetric:
            return Target(exact(skewed), round(low / skewed) + limit, NARROW_BITS)
        return Target(exact(symmetric), 0, NARROW_BITS)

    def wide(self, value: Value) -> Target:
        """The 16-bit symmetric form of a value."""
        limit = self._wide_limit[self._wide_ties.find(self.carrier(value))]
        return Target(exact(limit * _HEADROOM / (2 ** (WIDE_BITS - 1) - 1)), 0, WIDE_BITS)

    def input_scale(self, value: Value, limit: int) -> sympy.Rational:
        """The scale of the run-time input, whose integers are in -limit..limit."""
        if self.form(value) is Form.INDEX:
            return sympy.Integer(1)
        statistics = self.statistics(value)
        levels = limit if statistics.minimum >= 0 or statistics.maximum <= 0 else 2 * limit  # without offset
        low, high = self._ranges(value, statistics, levels)
        return exact(max(-low, high, _TINY) / limit)

    def statistics(self, value: Value) -> Statistics:
        """The calibration statistics of a value."""
        found = self._statistics.get(value.name)
        if found is None:
            raise MRTError(f"node {value.node.name}: no calibration statistics; run the CALIBRATION stage again")
        return found

    def _stored(self) -> list[Value]:
        values = [v for node in self._graph.nodes() for v in node.inputs] + list(self._graph.outputs)
        return [v for v in dict.fromkeys(values) if v.node.name not in self._graph.params and self.carrier(v) == v]

    def _find_carriers(self) -> dict[Value, Value]:
        consumers = self._graph.consumers()
        carriers: dict[Value, Value] = {}
        for node in reversed(self._graph.nodes()):
            value = Value(node)
            if self._uses.get(value) == 1 and value in consumers:
                user = consumers[value][0]
                if ops.get(user.op).bounds(user) is not None:
                    carriers[value] = carriers.get(Value(user), Value(user))
        return carriers

    def _find_forms(self) -> dict[Value, Form]:
        forms = {self.carrier(value): Form.WIDE for value in self._graph.outputs}
        for node in reversed(self._graph.nodes()):
            if node.is_variable:
                continue
            wanted = Form.WIDE if node.name in self.extra.inputs else ops.get(node.op).form
            if wanted is Form.SAME:
                wanted = forms.get(self.carrier(Value(node)), Form.NARROW)
            if wanted in (Form.WIDE, Form.INDEX):
                for value in node.inputs:
                    forms[self.carrier(value)] = wanted
        return forms

    def _tie(self) -> None:
        for node in self._graph.nodes():
            if node.is_variable:
                continue
            output = self.carrier(Value(node))
            dynamic = [self.carrier(v) for v in node.inputs if v.node.name not in self._graph.params]
            clamps = ops.get(node.op).bounds(node) is not None
            moves = ops.get(node.op).form is Form.SAME and not clamps
            for value in dynamic:
                if moves:
                    self._narrow_ties.tie(value, output)
                if moves or clamps or (node.op in _ADDITIVE and len(dynamic) == len(node.inputs)):
                    self._wide_ties.tie(value, output)
