"""Reads and writes MXNet symbol JSON + params, exactly.

Graphs with operators that MXNet does not have are written as their twins (`mrt.executors.twin`) and read as what they
were, so every checkpoint opens in any MXNet tool and round-trips.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

from mrt.atomic import atomic_write
from mrt.errors import MRTError, Remedy
from mrt.executors.child import attempt
from mrt.executors.symbol import ORIGIN, dumps, loads, to_symbol
from mrt.executors.twin import restored
from mrt.frontends import document
from mrt.graph.ir import VARIABLE, Array, Graph, Node, Shape, Value

_LIST_MAGIC = 0x112
_SECONDS = 60.0  # a symbol takes milliseconds


def from_symbol(symbol: Any, params: Mapping[str, Array], inputs: Mapping[str, Shape]) -> Graph:
    """The graph of an MXNet symbol.

    Blocks that are used several times leave nodes of the same name; the later ones are called `name_1`, `name_2`, ….

    Args:
        symbol: an MXNet symbol.
        params: parameters by variable name; names the symbol does not use are ignored.
        inputs: run-time inputs and their shapes, -1 for the batch axis.

    Raises:
        MRTError: a variable is neither a parameter nor an input.
    """
    written = loads(symbol.tojson())
    nodes: list[Node] = []
    for name, raw in zip(_unique_names(written["nodes"]), written["nodes"]):
        attrs = dict(raw.get("attrs", {}))
        origin = _origin(name, attrs.pop(ORIGIN)) if ORIGIN in attrs else (name,)
        sources = tuple(Value(nodes[i], index) for i, index, *_ in raw["inputs"])
        nodes.append(Node(raw["op"], name, sources, attrs, origin))
    outputs = tuple(Value(nodes[i], index) for i, index, *_ in written["heads"])
    return restored(Graph(outputs, params, dict(inputs)).pruned()).pruned()


def _unique_names(nodes: list[Any]) -> list[str]:
    """The nodes' names; of operators of one name, all but the first get a number."""
    taken = {raw["name"] for raw in nodes}
    seen = {raw["name"] for raw in nodes if raw["op"] == VARIABLE}
    names = []
    for raw in nodes:
        name, count = raw["name"], 0
        while raw["op"] != VARIABLE and (name in seen or (count and name in taken)):
            count += 1
            name = f"{raw['name']}_{count}"
        seen.add(name)
        names.append(name)
    return names


def _origin(name: str, written: str) -> tuple[str, ...]:
    """The names of the nodes that a node stands for."""
    try:
        names = json.loads(written)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(origin, str) for origin in names):
        raise MRTError(f"node {name}: its attribute {ORIGIN} is not as MRT writes it; make the checkpoint again")
    return tuple(names)


def load(symbol_path: Path, params_path: Path, inputs: Mapping[str, Shape]) -> Graph:
    """Read a network from MXNet's two files.

    Raises:
        MRTError: a file is missing or damaged, or they do not belong together.
    """
    _require(symbol_path)
    _require(params_path)
    return from_symbol(load_symbol(symbol_path), load_params(params_path), inputs)


def _require(path: Path) -> None:
    if not path.is_file():
        raise MRTError(f"{path}: no such file", Remedy.MODEL_FILES)


def load_symbol(path: Path) -> mx.sym.Symbol:
    """Read an MXNet symbol.

    Raises:
        MRTError: the file is missing or damaged, or is nothing that MXNet can read.
    """
    _require(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise MRTError(f"{path}: not a readable MXNet symbol ({_first_line(error)})") from None
    if wrong := document.problem(text):
        raise MRTError(f"{path}: not a readable MXNet symbol: {wrong}")
    text = dumps(loads(text))
    # What the check does not know of and MXNet's reader dies of, it dies of in a child.
    if failure := attempt(lambda: mx.sym.load_json(text).tojson(), _SECONDS):
        raise MRTError(f"{path}: not a readable MXNet symbol ({failure.reason[:200]})")
    return mx.sym.load_json(text)


def load_params(path: Path) -> dict[str, Array]:
    """Read an MXNet parameters file; `arg:` and `aux:` prefixes are dropped.

    Raises:
        MRTError: the file is missing or damaged, or holds unnamed arrays or values that are not finite.
    """
    _require(path)
    try:
        loaded = _arrays(path.read_bytes())
    except (mx.base.MXNetError, ValueError, OSError) as error:
        raise MRTError(f"{path}: not a readable MXNet parameters file, or truncated ({_first_line(error)})") from None
    if not isinstance(loaded, dict):
        raise MRTError(f"{path}: the arrays in this parameters file have no names")
    params = {}
    for key, array in loaded.items():
        name = key.split(":", 1)[1] if key.startswith(("arg:", "aux:")) else key
        params[name] = array.asnumpy()
        if not np.isfinite(params[name]).all():
            raise MRTError(f"{path}: parameter {name} has values that are not finite")
    return params


def _arrays(content: bytes) -> Any:
    """What MXNet reads from a file; one that was written under `npx.set_np()` is only read so."""
    try:
        return mx.nd.load_frombuffer(content)
    except mx.base.MXNetError as error:
        if "is_np_shape" not in str(error):
            raise
        with mx.util.np_shape(True):
            return mx.nd.load_frombuffer(content)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and "Stack trace" not in line]
    return lines[-1].strip()[:160] if lines else type(error).__name__


def save(graph: Graph, symbol_path: Path, params_path: Path) -> None:
    """Write a graph as MXNet's two files, each whole or not at all."""
    symbol = to_symbol(graph)
    auxiliary = set(symbol.list_auxiliary_states())
    arrays = {("aux:" if name in auxiliary else "arg:") + name: value for name, value in graph.params.items()}
    atomic_write(params_path, _params_bytes(arrays))
    atomic_write(symbol_path, symbol.tojson())


def _params_bytes(arrays: Mapping[str, Array]) -> bytes:
    """What `mx.nd.save` writes, which says nothing of a full disk and takes no file name outside UTF-8.

    The list's layout is NDArray::Save of MXNet's src/ndarray/ndarray.cc; an array's is what it is pickled as.
    """
    parts = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays))]
    parts += [mx.nd.array(value, dtype=value.dtype).__getstate__()["handle"] for value in arrays.values()]
    parts += [struct.pack("<Q", len(arrays))]
    for name in arrays:
        encoded = name.encode("utf-8")
        parts += [struct.pack("<Q", len(encoded)), encoded]
    return b"".join(parts)
