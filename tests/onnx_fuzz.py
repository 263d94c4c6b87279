"""Mutants of small ONNX files: each is read, or refused in one line; none ends the process: `make fuzz-onnx`.

PYTHONPATH=tests python tests/onnx_fuzz.py --seed 17 --count 1
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx_models import WHOLE

from mrt.errors import MRTError
from mrt.executors.child import attempt
from mrt.frontends.onnx.file import load_model
from mrt.frontends.onnx.inputs import input_shapes
from mrt.frontends.onnx.reader import graph_of

Random = np.random.Generator
READ, REFUSED, FAILED = "read", "refused", "FAILED"
SECONDS = 60.0
_BATCH = 50
_NUMBERS = (0, 1, -1, 2, 3, 7, 255, -(2**31), 2**31, 2**40, 2**62, -(2**63))


@cache
def sources() -> tuple[bytes, ...]:
    """The files to mutate."""
    return tuple(make().SerializeToString() for make in WHOLE.values())


def mutant(seed: int) -> bytes:
    """One file with a fault or a few: of bytes, or of the structure."""
    random = np.random.default_rng(seed)
    content = sources()[int(random.integers(len(sources())))]
    for _ in range(int(random.integers(1, 4))):
        change = _CHANGES[int(random.integers(len(_CHANGES)))]
        content = change(content, random)
    return content


def _bytes(content: bytes, random: Random) -> bytes:
    """A few bytes replaced, mostly near the beginning, where the structure is."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 6))):
        if data:
            limit = len(data) if random.random() < 0.5 else min(len(data), 2000)
            data[int(random.integers(limit))] = int(random.integers(256))
    return bytes(data)


def _cut(content: bytes, random: Random) -> bytes:
    place = int(random.integers(len(content) + 1))
    return content[:place]


def _without(content: bytes, random: Random) -> bytes:
    """A piece is missing, or is there twice."""
    first, last = sorted(int(place) for place in random.integers(len(content) + 1, size=2))
    last = min(last, first + 200)
    return content[:first] + content[last:] if random.random() < 0.5 else content[:last] + content[first:]


def _structure(change: Callable[[Any, Random], None]) -> Callable[[bytes, Random], bytes]:
    def changed(content: bytes, random: Random) -> bytes:
        import onnx

        model = onnx.ModelProto()
        try:
            model.ParseFromString(content)
            if model.graph.node:
                change(model, random)
            return bytes(model.SerializeToString())
        except Exception:  # already damaged beyond the package
            return content

    return changed


def _pick(items: Sequence[Any], random: Random) -> Any:
    return items[int(random.integers(len(items)))]


def _number(random: Random) -> int:
    return int(_NUMBERS[int(random.integers(len(_NUMBERS)))])


def _input(model: Any, random: Random) -> None:
    """A node reads something else."""
    names = [name for node in model.graph.node for name in (*node.input, *node.output)] + ["", "nowhere"]
    node = _pick(model.graph.node, random)
    if node.input:
        node.input[int(random.integers(len(node.input)))] = _pick(names, random)


def _operator(model: Any, random: Random) -> None:
    """A node is of another operator, of the model's or ONNX's."""
    import onnx

    others = sorted({schema.name for schema in onnx.defs.get_all_schemas()})
    own = [node.op_type for node in model.graph.node]
    _pick(model.graph.node, random).op_type = _pick(own if random.random() < 0.5 else others, random)


def _attribute(model: Any, random: Random) -> None:
    """A number of an attribute, an attribute's type, or an attribute."""
    node = _pick(model.graph.node, random)
    if not node.attribute:
        return
    attr = _pick(node.attribute, random)
    kind = random.random()
    if kind < 0.2:
        node.attribute.remove(attr)
    elif kind < 0.4:
        attr.type = int(random.integers(0, 15))
    elif attr.ints:
        attr.ints[int(random.integers(len(attr.ints)))] = _number(random)
    else:
        attr.i = _number(random)
        attr.f = float(_number(random))


def _tensor(model: Any, random: Random) -> None:
    """A weight's shape, type, data or place."""
    tensor = _pick(model.graph.initializer, random)
    kind = random.random()
    if kind < 0.4 and tensor.dims:
        tensor.dims[int(random.integers(len(tensor.dims)))] = _number(random)
    elif kind < 0.6:
        tensor.data_type = int(random.integers(0, 30))
    elif kind < 0.8:
        data = bytearray(tensor.raw_data)
        if data:
            data[int(random.integers(len(data)))] = int(random.integers(256))
        tensor.raw_data = bytes(data[: int(random.integers(len(data) + 1))] if random.random() < 0.3 else data)
    else:
        tensor.data_location = 1
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", _pick(["../x", "/etc/passwd", ".", "", "net.onnx"], random)


def _shape(model: Any, random: Random) -> None:
    """A size of the input."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if dims:
        _pick(dims, random).dim_value = _number(random)


def _versions(model: Any, random: Random) -> None:
    model.opset_import[0].version = int(random.integers(-1, 40))


def _nodes(model: Any, random: Random) -> None:
    """A node is missing, there twice, or elsewhere."""
    nodes = list(model.graph.node)
    node = nodes.pop(int(random.integers(len(nodes))))
    for _ in range(int(random.integers(0, 3))):
        nodes.insert(int(random.integers(len(nodes) + 1)), node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


_CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _bytes,
    _cut,
    _without,
    *map(
        _structure, (_input, _input, _operator, _operator, _attribute, _attribute, _tensor, _shape, _versions, _nodes)
    ),
)


def outcome(seed: int, folder: Path) -> str:
    """Read a mutant here: what became of it, or FAILED with the reason."""
    path = folder / "net.onnx"
    path.write_bytes(mutant(seed))
    try:
        model = load_model(path)
        graph_of(model, input_shapes(model))
    except MRTError as error:
        message = str(error)
        return REFUSED if message and "\n" not in message else f"{FAILED}: not one line: {message[:100]!r}"
    except Exception as error:
        return f"{FAILED}: {type(error).__name__}: {error}"
    return READ


def run(first: int, count: int) -> tuple[Counter[str], list[str]]:
    """The outcomes of mutants, many to a child process, so that what ends the process is found; failures by seed."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = folder / "log"
        for start in range(first, first + count, _BATCH):
            seeds = range(start, min(start + _BATCH, first + count))
            done = 0
            while done < len(seeds):
                log.write_text("")
                failure = attempt(lambda rest=seeds[done:]: _some(rest, folder, log), SECONDS)  # type: ignore[misc]
                told = log.read_text().splitlines()
                for seed, line in zip(seeds[done:], told):
                    counts[line.split(":")[0]] += 1
                    if line.startswith(FAILED):
                        failures.append(f"{seed}: {line}")
                done += len(told)
                if failure is not None and done < len(seeds):
                    counts[FAILED] += 1
                    failures.append(f"{seeds[done]}: {failure.reason}")
                    done += 1
    return counts, failures


def _some(seeds: Sequence[int], folder: Path, log: Path) -> None:
    logging.disable(logging.CRITICAL)
    with log.open("a") as stream:
        for seed in seeds:
            stream.write(" ".join(outcome(seed, folder).split()) + "\n")
            stream.flush()


def main() -> int:
    """Run the mutants that the command line says; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10000)
    options = parser.parse_args()
    counts, failures = run(options.seed, options.count)
    print(*failures, sep="\n")
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
