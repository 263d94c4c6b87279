"""A readable description of a model: its nodes, sizes, and overflow certificate."""

from __future__ import annotations

import math

from cvm import ops
from cvm.certificate import certify
from cvm.model import INPUT, Inferred, Model
from cvm.ops.base import Shape
from cvm.package import Package
from cvm.table import table


def describe(package: Package, storage: int) -> str:
    """Tables of entries and of nodes (shape, precision, bytes, multiply-adds, proven range), totals and verdict.

    `storage` is what the model's symbol file needs on the reference, in bytes (`cvm.format.examine`).
    """
    model = package.model
    inferred = model.infer()
    certificate = certify(model)
    proofs = iter(certificate.nodes)
    nodes, weights, total_macs = [], 0, 0
    for index, node in enumerate(model.nodes):
        sizes = [_bytes(s, p) for s, p in zip(inferred.shapes[index], inferred.precisions[index])]
        if node.is_variable:
            weights += sum(sizes) if node.name != INPUT else 0
            continue
        macs = ops.get(node.op).macs(node.attrs, [inferred.shapes[i][k] for i, k in node.inputs])
        total_macs += macs
        for output, shape in enumerate(inferred.shapes[index]):
            proof = next(proofs)
            nodes.append(
                (node.name, node.op, _shape(shape), proof.precision, sizes[output], macs, proof.low, proof.high)
            )
    described = package.description
    scale = described.inputs[0].meaning.text if len(described.inputs) == 1 else ""
    entries = [("input", INPUT, _shape(model.input_shape), model.precisions[INPUT], scale)]
    entries += _inputs(package) + _outputs(model, inferred, package)
    return "\n".join(
        [
            table(("", "name", "shape", "precision", "scale"), entries),
            "",
            table(("node", "op", "shape", "precision", "bytes", "MACs", "low", "high"), nodes),
            "",
            f"{len(nodes)} operators, {weights} bytes of parameters, {total_macs} multiply-adds per evaluation.",
            f"The reference counts {model.operations} operations and {storage} bytes of storage.",
            certificate.verdict(),
            *([f"SHA-256 {package.sha256}"] if package.sha256 else []),
            "",
        ]
    )


def _inputs(package: Package) -> list[tuple[str, str, str, int, str]]:
    """The parts of a packed input; none where there is one input."""
    inputs = package.description.inputs if len(package.description.inputs) > 1 else ()
    return [("part", i.name, _shape(i.shape or ()), i.precision or 0, i.meaning.text) for i in inputs]


def _outputs(model: Model, inferred: Inferred, package: Package) -> list[tuple[str, str, str, int, str]]:
    known = [output.meaning.text for output in package.description.outputs]
    known = [*known, *[""] * len(model.heads)][: len(model.heads)]
    return [
        ("output", model.nodes[i].name, _shape(inferred.shapes[i][k]), inferred.precisions[i][k], scale)
        for (i, k), scale in zip(model.heads, known)
    ]


def _shape(shape: Shape) -> str:
    return "x".join(str(dim) for dim in shape)


def _bytes(shape: Shape, precision: int) -> int:
    """Size of a tensor: a byte per value up to precision 8, four beyond."""
    return math.prod(shape) * (1 if precision <= 8 else 4)
