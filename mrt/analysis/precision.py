"""`Precision=auto`: spends extra bits where the sensitivity measurement says that they buy most.

The target's convolution and dense take 8 bits; 16 of the input or of the weights cost a second product
(`mrt.integer.limbs`). Everything else is 16 bits wide already. The noises that layers cause at the network's output
nearly add up, so those are taken that remove most for each multiply-accumulate, until the target is met or the budget
is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from mrt.analysis.sensitivity import Batches, Tally, measure
from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.integer.form import ExtraBits
from mrt.integer.limbs import LIMB_BITS
from mrt.quantizer.quantize import Quantized
from mrt.report.precision import PrecisionGain, WiderLayer
from mrt.report.sensitivity import Effect, OperatorSensitivity

_WORTH = 0.005  # what removes less of the noise is not worth a second product
_ROUNDS = 3
_MARGIN_DB = 0.5


@dataclass(frozen=True)
class Candidate:
    """Extra bits for the input or for the weights of one layer.

    Attributes:
        layer: its name.
        weights: for the weights, else for the input.
        removes: noise at the network's output, in the units of `Effect.noise`.
        costs: multiply-accumulates.
    """

    layer: str
    weights: bool
    removes: float
    costs: int


def widen(
    prepared: Graph,
    quantized: Quantized,
    requantize: Callable[[ExtraBits], Quantized],
    pictures: Batches,
    target_db: float | None,
    budget: float,
    advance: Callable[[int], None] = lambda count: None,
) -> tuple[Quantized, PrecisionGain]:
    """The network with extra bits, or as it is where they gain nothing.

    Args:
        prepared: the float graph.
        quantized: without extra bits.
        requantize: quantizes it with extra bits.
        pictures: calibration data and labels, few enough to be held.
        target_db: the signal-to-noise ratio of the outputs to stop at.
        budget: multiply-accumulates that may be added, as a part of the network's own.
        advance: called with the number of operators times pictures that are done.
    """
    pictures = list(pictures)
    measured = measure(prepared, quantized, pictures, None, left_too=False, advance=advance)
    candidates = find_candidates(measured.operators, quantized.input.precision)
    whole = sum(operator.macs for operator in measured.operators)
    noise = sum(operator.only.noise for operator in measured.operators)
    before = best = outcome(prepared, quantized, pictures)
    result, kept, chosen = quantized, list[Candidate](), list[Candidate]()
    aim = target_db
    for _ in range(_ROUNDS):
        more = choose(candidates, noise, budget * whole, 10 ** (-aim / 10) if aim is not None else 0.0)
        if len(more) <= len(chosen):
            break
        chosen = more
        wider = requantize(extra_bits(chosen))
        after = outcome(prepared, wider, pictures)
        if after.noise < best.noise:
            result, kept, best = wider, chosen, after
        if aim is None or target_db is None or after.sqnr_db >= target_db:
            break
        aim += target_db - after.sqnr_db + _MARGIN_DB
    return result, PrecisionGain(
        pictures=measured.pictures,
        layers=_layers(kept, noise, whole),
        before=before,
        after=best,
        target_db=target_db,
    )


def find_candidates(operators: Sequence[OperatorSensitivity], input_bits: int) -> list[Candidate]:
    """What extra bits could remove. A layer that reads the network's input finds only its `input_bits` there."""
    found: list[Candidate] = []
    for operator in operators:
        if operator.macs:
            lost = {cause: share * operator.only.noise for cause, share in operator.causes.items()}
            if not operator.reads_input or input_bits > LIMB_BITS:
                found.append(Candidate(operator.name, False, lost["range"] + lost["clipping"], operator.macs))
            found.append(Candidate(operator.name, True, lost["rounding"], operator.macs))
    return found


def choose(candidates: Sequence[Candidate], noise: float, budget: float, target: float) -> list[Candidate]:
    """The candidates that remove most for their cost, until `noise` is down to `target` or the budget is spent."""
    chosen: list[Candidate] = []
    left = noise
    for candidate in sorted(candidates, key=lambda c: (-c.removes / c.costs, c.layer, c.weights)):
        if left <= target:
            break
        if candidate.costs <= budget and candidate.removes >= _WORTH * noise:
            chosen.append(candidate)
            budget -= candidate.costs
            left -= candidate.removes
    return chosen


def extra_bits(chosen: Sequence[Candidate]) -> ExtraBits:
    """The choice, as the quantizer takes it."""
    inputs, weights = ({c.layer for c in chosen if c.weights is which} for which in (False, True))
    return ExtraBits(frozenset(inputs), frozenset(weights))


def outcome(prepared: Graph, quantized: Quantized, pictures: Batches) -> Effect:
    """The integer network, exactly, compared with the float one."""
    reference, integers = Executor(prepared), Executor(quantized.graph, dtype="float64")
    tally = Tally(None)
    for data, labels in pictures:
        outputs = integers(quantized.integers(data))
        tally.add(labels, reference(data), quantized.real(outputs))
    return tally.effect()


def _layers(chosen: Sequence[Candidate], noise: float, macs: int) -> list[WiderLayer]:
    found: dict[str, WiderLayer] = {}
    for candidate in chosen:
        layer = found.setdefault(candidate.layer, WiderLayer(name=candidate.layer))
        layer.input |= not candidate.weights
        layer.weights |= candidate.weights
        layer.removes += candidate.removes / noise
        layer.costs += candidate.costs / macs
    return list(found.values())
