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
from mrt.calibrate.coverage import Coverage
from mrt.calibrate.thresholds import Interval
from mrt.errors import MRTError, Remedy
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Value
from mrt.integer.annotation import Annotation
from mrt.integer.form import NARROW_BITS, WIDE_BITS, ExtraBits, Form
from mrt.integer.qvalue import Target, exact
from mrt.statistics.tensor import Statistics

_HEADROOM = 2  # the wide form represents twice the calibrated range: sums of unseen pictures rarely saturate
FAINTEST = 1e-6
"""What a form covers at least: tensors that are zero on all calibration data have one too."""
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


def annotate(
    graph: Graph,
    statistics: Mapping[str, Statistics],
    coverage: Coverage | None = None,
    extra: ExtraBits | None = None,
    offsets: bool = True,
    input_precision: int = NARROW_BITS,
    bits: Mapping[str, int] | None = None,
) -> Annotation:
    """The forms and scales of every tensor of a prepared graph.

    Args:
        graph: prepared graph.
        statistics: calibration statistics by value name.
        coverage: what each tensor's integers are to cover; by default all that was seen.
        extra: layers that take more than 8 bits.
        offsets: whether one-sided narrow tensors may have an offset.
        input_precision: bits of the run-time inputs.
        bits: of layers that take fewer than 8, by node name.

    Raises:
        MRTError: there are no statistics of a tensor.
    """
    extra, coverage = extra or ExtraBits(), coverage or Coverage()
    carriers = _carriers(graph)
    narrow_ties, wide_ties = _ties(graph, carriers)
    read = [value for node in graph.nodes() for value in node.inputs] + list(graph.outputs)
    stored = [v for v in dict.fromkeys(read) if v.node.name not in graph.params and v not in carriers]
    sources = [Value(node) for node in graph.nodes() if node.name in graph.inputs]
    known = {value: _known(value, statistics) for value in dict.fromkeys([*stored, *sources])}
    few = _few_bits(graph, carriers, bits or {})
    covered = {value: _covered(value, known[value], coverage, few.get(value, NARROW_BITS)) for value in stored}
    forms = _forms(graph, carriers, extra)
    groups: dict[Value, list[Value]] = {}
    limits: dict[Value, float] = {}
    for value in stored:
        groups.setdefault(narrow_ties.find(value), []).append(value)
        root = wide_ties.find(value)
        limits[root] = max(known[value].threshold(), limits.get(root, FAINTEST))
    narrows = {
        root: _narrow([covered[value] for value in group], offsets, max(few.get(value, NARROW_BITS) for value in group))
        for root, group in groups.items()
    }
    return Annotation(
        shapes=infer_shapes(graph),
        use_counts=graph.use_counts(),
        calibrated=statistics,
        extra=extra,
        carriers=carriers,
        forms=forms,
        narrows={value: narrows[narrow_ties.find(value)] for value in stored},
        wides={value: Target.symmetric(_HEADROOM * limits[wide_ties.find(value)], WIDE_BITS) for value in stored},
        groups={value: tuple(groups[narrow_ties.find(value)]) for value in stored},
        inputs={
            value: Target(sympy.Integer(1), 0, input_precision)
            if forms.get(carriers.get(value, value)) is Form.INDEX
            else _of_input(value, known[value], coverage, input_precision)
            for value in sources
        },
        bits=bits or {},
    )


def _known(value: Value, statistics: Mapping[str, Statistics]) -> Statistics:
    if value.name not in statistics:
        raise MRTError(f"node {value.node.name}: no calibration statistics", Remedy.CALIBRATE_AGAIN)
    return statistics[value.name]


def _of_input(value: Value, statistics: Statistics, coverage: Coverage, precision: int) -> Target:
    """The form of a run-time input, which has no offset: a one-sided one uses half of its integers."""
    limit = int(2 ** (precision - 1) - 1)
    one_sided = statistics.minimum >= 0 or statistics.maximum <= 0
    low, high = coverage(value, statistics, limit if one_sided else 2 * limit)
    return Target(exact(max(-low, high, FAINTEST) / limit), 0, precision)


def _covered(value: Value, statistics: Statistics, coverage: Coverage, bits: int) -> Interval:
    return coverage(value, statistics) if bits == NARROW_BITS else coverage(value, statistics, 2**bits - 2)


def _few_bits(graph: Graph, carriers: Mapping[Value, Value], bits: Mapping[str, int]) -> dict[Value, int]:
    """The bits of the stored values that only layers of fewer than 8 read, moved or not."""
    found: dict[Value, int] = {carriers.get(value, value): NARROW_BITS for value in graph.outputs}
    for node in reversed(graph.nodes()) if bits else ():
        if node.is_variable:
            continue
        read = NARROW_BITS
        if node.name in bits:
            read = bits[node.name]
        elif ops.get(node.op).form is Form.SAME:
            read = found.get(carriers.get(Value(node), Value(node)), NARROW_BITS)
        for value in node.inputs:
            stored = carriers.get(value, value)
            if stored != carriers.get(Value(node), Value(node)):  # a clamp stands for what it reads
                found[stored] = max(read, found.get(stored, 0))
    return found


def _narrow(covered: list[Interval], offsets: bool, bits: int) -> Target:
    """The narrow form that represents all of these ranges."""
    low, high = min(0.0, *(low for low, _ in covered)), max(0.0, *(high for _, high in covered))
    limit = 2 ** (bits - 1) - 1
    symmetric = max(-low, high, FAINTEST) / limit
    skewed = max(high - low, FAINTEST) / (2 * limit)
    if offsets and skewed < _ASYMMETRY_GAIN * symmetric:
        return Target(exact(skewed), round(low / skewed) + limit, bits)
    return Target(exact(symmetric), 0, bits)


def _carriers(graph: Graph) -> dict[Value, Value]:
    """What is stored in place of the tensors that only a clamp reads."""
    consumers, uses = graph.consumers(), graph.use_counts()
    carriers: dict[Value, Value] = {}
    for node in reversed(graph.nodes()):
        value = Value(node)
        if uses.get(value) == 1 and value in consumers:
            user = consumers[value][0]
            if ops.get(user.op).bounds(user) is not None:
                carriers[value] = carriers.get(Value(user), Value(user))
    return carriers


def _forms(graph: Graph, carriers: Mapping[Value, Value], extra: ExtraBits) -> dict[Value, Form]:
    """The form in which each stored value is wanted, where that is not NARROW."""
    forms = {carriers.get(value, value): Form.WIDE for value in graph.outputs}
    for node in reversed(graph.nodes()):
        if node.is_variable:
            continue
        wanted = Form.WIDE if node.name in extra.inputs else ops.get(node.op).form
        if wanted is Form.SAME:
            wanted = forms.get(carriers.get(Value(node), Value(node)), Form.NARROW)
        if wanted in (Form.WIDE, Form.INDEX):
            for value in node.inputs:
                forms[carriers.get(value, value)] = wanted
    return forms


def _ties(graph: Graph, carriers: Mapping[Value, Value]) -> tuple[_Unions, _Unions]:
    """The stored values that share a scale, in the narrow form and in the wide one."""
    narrow, wide = _Unions(), _Unions()
    for node in graph.nodes():
        if node.is_variable:
            continue
        output = carriers.get(Value(node), Value(node))
        dynamic = [carriers.get(value, value) for value in node.inputs if value.node.name not in graph.params]
        clamps = ops.get(node.op).bounds(node) is not None
        moves = ops.get(node.op).form is Form.SAME and not clamps
        for value in dynamic:
            if moves:
                narrow.tie(value, output)
            if moves or clamps or (ops.get(node.op).adds and len(dynamic) == len(node.inputs)):
                wide.tie(value, output)
    return narrow, wide
