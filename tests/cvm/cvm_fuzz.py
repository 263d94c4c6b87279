"""Differential fuzzing of the two readers and the two executors: `make fuzz`.

Each mutant of a small model is read by the Python and by the native reader. Both must accept or both refuse it with one
line; where both accept and the model is small, the formal and the native executor must give the same integers.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import re
import struct
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cvm
import cvm.symbol
import cvm_cases
import cvm_models
import numpy as np
from cvm import CVMError, LimitError, Model, formal, format, ops, params
from cvm.charge import charge

LARGEST_RUN = 2**20  # operations; larger models are only read
Random = np.random.Generator
Files = tuple[bytes, bytes]

ODD = [
    None, True, False, 0, 1, -1, 2, 7, 8, 9, 31, 32, 33, 127, 128, 2**24, 2**31 - 1, 2**31, 2**40, -(2**63), 10**18 - 1,
    10**18, 10**30, 1.5, "", "0", "data", "w", "relu", "conv2d_3", "nn.relu", "cvm_op", "null", "int32", "int8", "{}",
    "[]", '{"a":"1"}', '{"precision":"8","shape":"(4,)"}', "cvm_1.0.0", "cvm_1.1.0", "argmax", "é", "\x01", "x" * 5000,
    [], {}, [0], [0, 0], [0, 0, 0], [1, 2, 3, 4], ["list_int", []], ["list_str", []], {"func_name": "relu"},
    {"extra": "1"},
]  # fmt: skip
SPELLINGS = [
    "", "0", "1", "-1", "+1", "2", "3", " 1", "1 ", "\u00a01", "\u20031", "1\f", "\x1c1", "1\n", "01", "-0", "1.0",
    "1e0", "0x1", "\u0661", "32", "33", "4096", "4097", "65536", "2147483647", "2147483648", "-2147483647",
    "-2147483648", "99999999999", "9" * 30, "True", "true", "TRUE", "tRuE", " True", "False", "false", "FALSE ", "None",
    " None", "none", "()", "[]", "(1)", "(1,)", "(1, 1)", "[1,1]", "(1,1]", "( 1 , 1 , )", "(,)", "(1,,1)", "(0, 0)",
    "(2, 2)", "(-1,)", "(0, -1)", "(-2, -1)", "(-3, -2)", "(-4, 1, -1, -2)", "(-5,)", "(2, 3, 4)", "(1, 1, 1, 1, 1, 1)",
    "(1, 1, 1, 1, 1, 1, 1)", "(4096, 4096)", "NCHW", "NHWC", "OIHW", "same", "int32", "float32", "__undef__",
    "NEAREST_NEIGHBOR",
]  # fmt: skip
KEYS = sorted(
    {field.name for name in ops.names() for field in dataclasses.fields(ops.get(name).attributes)} | {"x", ""}
)
TEXT = [
    b"\\u0031", b"\\u00e9", b"\\ud800", b"\\ud83d\\ude00", b"\\/", b"\\b", b"\\f", b"\\n", b"\\x", b"\xc3\xa9", b"\xff",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00", b" ", b"\t", b"\x0b", b"\xc2\xa0", b"1e3", b".5", b"-", b"0", b"9" * 19,
    b"9" * 18, b"true", b"null", b"NaN", b"Infinity", b"[", b"]", b"{", b"}", b",", b":", b'"', b"[" * 40, b'"a":1,',
    b"//",
]  # fmt: skip
WORDS = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63, 2**64 - 1, 0xDD5E40F096B4A13F]


def pick(rng: Random, values: Any) -> Any:
    """One of the values, copied."""
    return copy.deepcopy(values[int(rng.integers(len(values)))])


def seed_model(rng: Random) -> Model:
    """A random legal use of a random operator, or a small network."""
    name = pick(rng, [*ops.names(), "network"])
    if name == "network":
        return cvm_models.small(int(rng.integers(100)))
    return cvm_cases.one_operator(cvm_cases.make(name, rng), rng)


def mutate(files: Files, rng: Random) -> Files:
    """One to three random changes."""
    for _ in range(int(rng.integers(1, 4))):
        files = pick(rng, MUTATIONS)(files, rng)
    return files


def _document(change: Callable[[Any, Random], None]) -> Callable[[Files, Random], Files]:
    def mutation(files: Files, rng: Random) -> Files:
        try:
            document = json.loads(files[0])
            change(document, rng)
            return json.dumps(document, ensure_ascii=bool(rng.integers(2))).encode("utf-8", "surrogatepass"), files[1]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return files  # an earlier change left nothing of this kind

    return mutation


def _value(document: Any, rng: Random) -> None:
    """Any value replaced, removed, repeated or exchanged with its neighbour."""
    holder, key = document, pick(rng, list(document))
    while isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.9:
        holder = holder[key]
        key = pick(rng, list(holder)) if isinstance(holder, dict) else int(rng.integers(len(holder)))
    kind = pick(rng, ["replace", "replace", "step", "remove", "repeat", "exchange", "add"])
    if kind == "replace":
        holder[key] = pick(rng, ODD)
    elif kind == "step" and isinstance(holder[key], int):
        holder[key] += pick(rng, [-1, 1])
    elif kind == "remove":
        del holder[key]
    elif kind == "add" and isinstance(holder, dict):
        holder[pick(rng, [*KEYS, "dltype", "device_index", "version", "precision", "name"])] = pick(rng, ODD)
    elif isinstance(holder, list) and kind == "repeat":
        holder.insert(key, copy.deepcopy(holder[key]))
    elif isinstance(holder, list):
        holder[key - 1], holder[key] = holder[key], holder[key - 1]


def _attribute(document: Any, rng: Random) -> None:
    """An attribute of a node set, removed or spelled otherwise."""
    texts = document["attrs"]["op_attrs"][1]
    at = int(rng.integers(len(texts)))
    own = json.loads(texts[at])
    key = pick(rng, sorted(own)) if own and rng.random() < 0.8 else pick(rng, KEYS)
    if rng.random() < 0.15:
        own.pop(key, None)
    else:
        own[key] = pick(rng, SPELLINGS)
    texts[at] = json.dumps(own, ensure_ascii=bool(rng.integers(2)))


def _style(document: Any, rng: Random) -> None:
    """The other ways in which the same is written."""
    attrs = document["attrs"]
    kind = int(rng.integers(8))
    if kind == 0:
        del document["version"]
    elif kind == 1:
        document["version"] = "cvm_1.1.0"
        document.pop("arg_nodes" if rng.random() < 0.5 else "version", None)
        attrs.pop("dltype" if rng.random() < 0.5 else "device_index", None)
    elif kind == 2:
        document["heads"] = [head[:2] for head in document["heads"]]
    elif kind == 3:
        attrs["precision"][1] = [-1] * len(attrs["precision"][1])
    elif kind == 4:
        attrs["device_index"] = ["list_int", [0] * int(rng.integers(2))]
    elif kind == 5:
        document["postprocess"] = pick(rng, ["", "argmax", 0, []])
    elif kind == 6:
        attrs["op_attrs"][1][0] = pick(rng, ['{"precision":"8"}', '{"a":1}', "[]", "", '{"a":"\\ud800"}'])
    else:
        attrs["storage_id"][1] = [int(i) for i in rng.integers(0, 4, len(attrs["storage_id"][1]))]


def _input(document: Any, rng: Random) -> None:
    """Another shape or precision of the input or a parameter."""
    attrs, at = document["attrs"], int(pick(rng, document["arg_nodes"]))
    entry = document["node_row_ptr"][at]
    if rng.random() < 0.5:
        attrs["precision"][1][entry] = int(rng.integers(1, 33))
        return
    shape = attrs["shape"][1][entry]
    if rng.random() < 0.3:
        shape.insert(int(rng.integers(len(shape) + 1)), int(rng.integers(1, 4)))
    else:
        shape[int(rng.integers(len(shape)))] = int(rng.integers(1, 9))


def _repaired(mutation: Callable[[Files, Random], Files]) -> Callable[[Files, Random], Files]:
    """With the stored shapes that follow from the change, so that not all of its mutants are refused for those."""

    def repaired(files: Files, rng: Random) -> Files:
        files = mutation(files, rng)
        try:
            symbol, arrays = cvm.symbol.decode(files[0]), params.decode(files[1])
            names = {node.name: i for i, node in enumerate(symbol.nodes) if node.is_variable}
            shape = symbol.shapes[names["data"]][0]
            precisions = {name: symbol.precisions[i][0] for name, i in names.items()}
            wide = {name: value.astype(np.int32) for name, value in arrays.items()}
            inferred = Model(symbol.nodes, symbol.heads, wide, precisions, shape).infer()
        except (CVMError, KeyError):
            return files
        document = json.loads(files[0])
        document["attrs"]["shape"][1] = [list(shape) for row in inferred.shapes for shape in row]
        return json.dumps(document).encode(), files[1]

    return repaired


def _symbol_bytes(files: Files, rng: Random) -> Files:
    return _damage(files[0], rng, TEXT), files[1]


def _params_bytes(files: Files, rng: Random) -> Files:
    return files[0], _damage(files[1], rng, [struct.pack("<Q", word) for word in WORDS])


def _params_width(files: Files, rng: Random) -> Files:
    """Parameters of the other width."""
    try:
        arrays = params.decode(files[1])
    except CVMError:
        return files
    kind = pick(rng, [np.int8, np.int32])
    return files[0], params.encode({name: value.astype(kind) for name, value in arrays.items()})


def _damage(content: bytes, rng: Random, parts: list[bytes]) -> bytes:
    """Cut, lengthened, with a byte or a part overwritten, put in, repeated or dropped."""
    if not content:
        return content
    at = int(rng.integers(len(content)))
    end = min(at + int(rng.integers(1, 40)), len(content))
    part, kind = pick(rng, parts), int(rng.integers(7))
    return [
        content[:at],
        content + bytes(end - at),
        content[:at] + bytes([int(rng.integers(256))]) + content[at + 1 :],
        content[:at] + part + content[at + len(part) :],
        content[:at] + part + content[at:],
        content[:end] + content[at:],
        content[:at] + content[end:],
    ][kind]


MUTATIONS = [
    _document(_value), _document(_value), _document(_attribute), _document(_style), _document(_style),
    _repaired(_document(_attribute)), _repaired(_document(_attribute)), _repaired(_document(_input)),
    _symbol_bytes, _params_bytes, _params_width,
]  # fmt: skip


def compare(files: Files, folder: Path, rng: Random) -> str:
    """What happened: "refused", "read" or "run"; AssertionError where the two sides differ."""
    (folder / "symbol").write_bytes(files[0])
    (folder / "params").write_bytes(files[1])
    refusals = []
    model = native = None
    try:
        model = format.load(folder / "symbol", folder / "params")
    except CVMError as error:
        refusals.append(str(error))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a folder without a manifest
            native = cvm.load(folder, threads=int(rng.integers(1, 3)))
    except LimitError:
        assert model is not None, f"only the Python reader refuses: {refusals}"
        return "read"
    except CVMError as error:
        refusals.append(str(error))
    assert all(re.fullmatch(r"[ -~\u00a0-\U0010ffff]+", line) for line in refusals), f"not one line: {refusals}"
    if model is None or native is None:
        assert len(refusals) == 2, f"only the {'native' if model else 'Python'} reader refuses: {refusals}"
        return "refused"
    shapes = model.infer().shapes
    if charge(model.nodes, shapes).operations > LARGEST_RUN:
        return "read"
    x = cvm_cases.values(rng, model.input_shape, model.precisions["data"])
    found = native(x)
    for got, want in zip(found if isinstance(found, tuple) else (found,), formal.run(model, x)):
        np.testing.assert_array_equal(got, want)
    return "run"


def fuzz(count: int, seed: int, failures: Path | None = None) -> Counter[str]:
    """Compare `count` mutants; returns how many were refused, read and run.

    AssertionError for the first on which the sides differ; its files are left in `failures`.
    """
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            files = mutate(format.encode(seed_model(rng)), rng)
            try:
                outcomes[compare(files, folder, rng)] += 1
            except Exception as error:
                if failures is not None:
                    kept = failures / f"{seed}_{number}"
                    kept.mkdir(parents=True, exist_ok=True)
                    (kept / "symbol").write_bytes(files[0])
                    (kept / "params").write_bytes(files[1])
                raise AssertionError(f"mutant {number} of seed {seed}: {type(error).__name__}: {error}") from error
    return outcomes


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20000, help="mutants (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first mutant")
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"), help="where a failing mutant is left")
    options = parser.parse_args()
    outcomes = fuzz(options.count, options.seed, options.failures)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"seed {options.seed}: {options.count} mutants, {counts}")


if __name__ == "__main__":
    main()
