"""Proof, by interval analysis, that no int32 value of a model overflows for any legal input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from cvm import ops
from cvm.model import INPUT, Model, Node
from cvm.ops.base import INT32_MAX, Range, limit
from cvm.table import table


@dataclass(frozen=True)
class NodeProof:
    """What is proven of one output of an operator.

    `low` and `high` bound its values, `accumulator` the magnitude of every intermediate sum or product of the
    operator in any order of evaluation; `precision` is the inferred one.
    """

    name: str
    op: str
    output: int
    precision: int
    low: int
    high: int
    accumulator: int

    @property
    def fits_int32(self) -> bool:
        """Whether intermediates stay within int32 and the values within the inferred precision."""
        bound = limit(self.precision)
        return self.accumulator <= INT32_MAX and -bound <= self.low and self.high <= bound


@dataclass(frozen=True)
class Certificate:
    """The proofs of all operators, for every input with |x| <= 2^(p-1) - 1, p the input's precision."""

    input_precision: int
    nodes: list[NodeProof]

    @property
    def ok(self) -> bool:
        """Whether no node can overflow."""
        return all(node.fits_int32 for node in self.nodes)

    @property
    def peak(self) -> int:
        """Largest magnitude any int32 of the model can reach."""
        return max((node.accumulator for node in self.nodes), default=0)

    def to_json(self) -> str:
        """The certificate as JSON."""
        nodes = [{**asdict(node), "fits_int32": node.fits_int32} for node in self.nodes]
        document = {"ok": self.ok, "input_precision": self.input_precision, "peak": self.peak, "nodes": nodes}
        return json.dumps(document, indent=2) + "\n"

    def to_text(self) -> str:
        """The certificate as a table, the verdict on the last line."""
        rows = [
            (n.name, n.op, n.precision, n.low, n.high, n.accumulator, "yes" if n.fits_int32 else "NO")
            for n in self.nodes
        ]
        listing = table(("node", "op", "precision", "low", "high", "accumulator", "fits int32"), rows)
        return f"{listing}\n{self.verdict()}\n"

    def verdict(self) -> str:
        """One line: whether int32 suffices, and by how much."""
        if self.ok:
            bits = self.peak.bit_length() + 1
            return f"No int32 overflow for any input of precision {self.input_precision}: at most {bits} bits are used."
        worst = next(node for node in self.nodes if not node.fits_int32)
        return f"int32 can overflow: first at node {worst.name!r} ({worst.op})."


def certify(model: Model) -> Certificate:
    """Bound every tensor and accumulator of `model`; raises `CVMError` for a model the target refuses."""
    inferred = model.infer()
    last_use = {i: index for index, node in enumerate(model.nodes) for i, _ in node.inputs}
    ranges: dict[int, list[Range]] = {}
    proofs = []
    for index, node in enumerate(model.nodes):
        if node.is_variable:
            continue
        shapes = [inferred.shapes[i][k] for i, k in node.inputs]
        inputs = [_range_of(model, model.nodes[i], k, ranges.get(i)) for i, k in node.inputs]
        operator = ops.get(node.op)
        bound = operator.accumulator_bound(node.attrs, inputs, shapes)
        ranges[index] = operator.infer_range(node.attrs, inputs, shapes)
        for output, (proven, precision) in enumerate(zip(ranges[index], inferred.precisions[index])):
            accumulator = max(bound, proven.magnitude())
            low, high = proven.min(), proven.max()
            proofs.append(NodeProof(node.name, node.op, output, precision, low, high, accumulator))
        for i in {i for i, _ in node.inputs}:
            if last_use[i] == index:
                ranges.pop(i, None)
    return Certificate(model.precisions[INPUT], proofs)


def _range_of(model: Model, node: Node, output: int, known: list[Range] | None) -> Range:
    """The range of a node's output; a variable's is made on use, so that only one weight is held at a time."""
    if known is not None:
        return known[output]
    if node.name == INPUT:
        bound = limit(model.precisions[INPUT])
        return Range.of(-bound, bound)
    return Range.constant(model.params[node.name])
