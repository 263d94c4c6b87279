"""Which of two ways to quantize a network is nearer to the float network on pictures that neither was chosen by."""

from __future__ import annotations

from collections.abc import Iterable

from mrt.analysis.agreement import Agreement
from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.graph.batch import Feed, Samples
from mrt.quantizer.quantize import Quantized


def agreements(
    prepared: Graph, ways: Iterable[Quantized], batches: Iterable[Feed], context: object | None = None
) -> list[Agreement]:
    """How near each of the integer networks is to the float one.

    Args:
        prepared: the float network.
        ways: integer networks of it.
        batches: of real input.
        context: MXNet device.
    """
    reference = Executor(prepared, context=context)
    # float32 is not exact for integers above 2^24, but near enough to compare two networks, in half the memory.
    runs = [(way, Executor(way.graph, context=context), Agreement()) for way in ways]
    samples = Samples(prepared.inputs)
    for feed in batches:
        expected = reference(feed)
        for way, run, agreement in runs:
            agreement.add(samples.count(feed), expected, way.real(run(way.integers(feed))))
    return [agreement for _, _, agreement in runs]


def prefers(one: Agreement, other: Agreement) -> bool:
    """Whether the first is at least as good: by classes where the outputs are class scores, then by noise."""
    if one.share is not None and other.share is not None and one.share != other.share:
        return one.share > other.share
    return _noise(one) <= _noise(other)


def _noise(agreement: Agreement) -> float:
    return sum(ratio or 0.0 for ratio in agreement.noise_ratios())
