"""The onnx package's own cases of single operators, on our float graph: equal, or refused in one line.

`python tests/onnx_cases.py` (`make onnx-cases`) writes the table of docs/onnx.md.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends.onnx.file import load_model
from mrt.frontends.onnx.reader import graph_of
from mrt.graph import Array, Graph

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "onnx.md"
BEGIN, END = "<!-- make onnx-cases -->", "<!-- end -->"
EQUAL, REFUSED = "equal", "refused"
_LARGEST = float(np.finfo(np.float32).max)
_TOLERANCE = 1e-3
_BRAIN = 2.0**-7  # one step of a bfloat16, in which the expected numbers are


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes:
        case: its name.
        operator: of its first node.
        kind: equal, refused, or what is wrong.
        reason: of a refusal, the line.
    """

    case: str
    operator: str
    kind: str
    reason: str = ""


def cases() -> list[Any]:
    """All cases of the installed package."""
    from onnx.backend.test.loader import load_model_tests

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(load_model_tests(kind="node"))


def verdict(case: Any) -> Verdict:
    """Run a case. Weights are inputs in many of them: where that is refused, all inputs but the first are constants."""
    operator = case.model.graph.node[0].op_type
    try:
        wrong = [problem for inputs, outputs in case.data_sets if (problem := _problem(case, inputs, outputs))]
    except MRTError as error:
        return Verdict(case.name, operator, REFUSED, str(error))
    return Verdict(case.name, operator, wrong[0] if wrong else EQUAL)


def _problem(case: Any, inputs: list[Any], outputs: list[Any]) -> str:
    if not all(isinstance(array, (np.ndarray, np.generic)) for array in (*inputs, *outputs)):
        raise MRTError("inputs or outputs that NumPy has no type for: sequences, 4-bit and 8-bit floats, bfloat16")
    feed = {info.name: np.asarray(array) for info, array in zip(case.model.graph.input, inputs)}
    network = _read(case.model, feed)
    given = {name: feed[name].reshape(feed[name].shape or (1,)).astype(np.float32) for name in network.inputs}
    results = Executor(network)(given)
    if len(results) != len(outputs):
        raise MRTError("some of its outputs are the same")
    brain = "bfloat16" in case.name or "bf16" in case.name
    rtol = _BRAIN if brain else max(case.rtol, _TOLERANCE)
    atol = _BRAIN if brain else max(case.atol, 1e-5)
    for result, expected in zip(results, map(np.asarray, outputs)):
        if result.shape != (expected.shape or (1,)):
            return f"shape {result.shape} for {expected.shape}"
        # Where there is an infinity, the graph has the largest number.
        ours, theirs = (
            np.clip(np.asarray(array, np.float64).reshape(expected.shape), -_LARGEST, _LARGEST)
            for array in (result, expected)
        )
        if not np.allclose(ours, theirs, rtol, atol, equal_nan=True):
            return f"differs by {np.abs(ours - theirs).max():.3g}"
    return ""


def _read(model: Any, feed: Mapping[str, Array]) -> Graph:
    import onnx

    try:
        return graph_of(load_model(model), {name: array.shape for name, array in feed.items()})
    except MRTError:
        first, *others = feed
        if not others:
            raise
        constant = onnx.ModelProto()
        constant.CopyFrom(model)
        constant.graph.initializer.extend(onnx.numpy_helper.from_array(feed[name], name) for name in others)
        return graph_of(load_model(constant), {first: feed[first].shape})


def table(verdicts: list[Verdict]) -> str:
    """By operator: cases that are equal and refused, with the first reason."""
    rows = ["| operator | equal | refused | why |", "|---|---:|---:|---|"]
    by_operator: dict[str, list[Verdict]] = {}
    for each in verdicts:
        by_operator.setdefault(each.operator, []).append(each)
    for operator in sorted(by_operator):
        found = by_operator[operator]
        count = Counter(each.kind for each in found)
        reasons = Counter(_short(each.reason) for each in found if each.kind == REFUSED)
        why = reasons.most_common(1)[0][0] if reasons else ""
        rows.append(f"| {operator} | {count[EQUAL] or ''} | {count[REFUSED] or ''} | {why} |")
    total = Counter(each.kind for each in verdicts)
    head = f"{len(verdicts)} cases: {total[EQUAL]} equal, {total[REFUSED]} refused, "
    return f"{head}{len(verdicts) - total[EQUAL] - total[REFUSED]} wrong.\n\n" + "\n".join(rows)


def _short(reason: str) -> str:
    text = reason.split("; ", 1)[0]
    text = text.split("): ", 1)[1] if text.startswith("node ") and "): " in text else text
    return " ".join(text.replace("|", "or").split())[:110]


def main() -> int:
    """Judge all cases and write the table."""
    verdicts = [verdict(case) for case in cases()]
    wrong = [each for each in verdicts if each.kind not in (EQUAL, REFUSED)]
    for each in wrong:
        print(f"{each.case}: {each.kind}")
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(verdicts)}\n\n{END}{after}")
    print(table(verdicts).splitlines()[0])
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
