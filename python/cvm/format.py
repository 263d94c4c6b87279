"""Models to and from the target's two files: the symbol (JSON) and the parameters (binary)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cvm import conformance, storage, strict_json
from cvm import params as params_file
from cvm import symbol as symbol_file
from cvm.errors import CVMError
from cvm.files import read_file, write_files
from cvm.model import INPUT, Model
from cvm.ops.base import Array, stored_type
from cvm.symbol import Symbol


def encode(model: Model) -> tuple[bytes, bytes]:
    """The bytes of the symbol and of the parameters file.

    Raises `CVMError` for a model that `load` or the reference refuses.
    """
    inferred = model.infer()
    if model.nodes[0].name != INPUT or not model.nodes[0].is_variable:
        raise CVMError(f"the first node must be the input {INPUT!r}")
    numbers = storage.plan(model.nodes, model.heads, inferred.shapes)
    problem = next(conformance.refusals(model, inferred), None) or conformance.storage_refusal(inferred.shapes, numbers)
    if problem:
        raise CVMError(f"the reference does not take the model: {problem}")
    arrays = {
        node.name: model.params[node.name].astype(stored_type(model.precisions[node.name]))
        for node in model.nodes
        if node.is_variable and node.name != INPUT
    }
    symbol, params = symbol_file.encode(model, inferred, numbers), params_file.encode(arrays)
    _assemble(symbol_file.decode(symbol), params_file.decode(params))  # nothing is written that cannot be read
    return symbol, params


def save(model: Model, symbol_path: str | os.PathLike[str], params_path: str | os.PathLike[str]) -> None:
    """Write both files, whole or not at all; `CVMError` for a model the target refuses or a place it cannot write."""
    symbol, params = encode(model)
    write_files({Path(symbol_path): symbol, Path(params_path): params})


def load(symbol_path: str | os.PathLike[str], params_path: str | os.PathLike[str]) -> Model:
    """Read a model, checking every rule of the format; `CVMError` names the file and what is wrong with it."""
    symbol_path, params_path = Path(symbol_path), Path(params_path)
    content, stored = read_file(symbol_path, strict_json.MAX_BYTES), read_file(params_path)
    return decode(content, stored, str(symbol_path), str(params_path))


def decode(content: bytes, stored: bytes, symbol_name: str = "symbol", params_name: str = "params") -> Model:
    """A model from the bytes of its two files, as `load`; the names are for messages."""
    with _naming(symbol_name):
        symbol = symbol_file.decode(content)
    with _naming(params_name):
        arrays = params_file.decode(stored)
    with _naming(symbol_name):
        return _assemble(symbol, arrays)


def examine(symbol_path: str | os.PathLike[str], model: Model) -> tuple[int, list[str]]:
    """Of the symbol file of a loaded model: bytes of storage as the reference counts them, and departures from it."""
    content = read_file(Path(symbol_path), strict_json.MAX_BYTES)
    with _naming(str(symbol_path)):
        symbol = symbol_file.decode(content)
    return storage.size(symbol.shapes, symbol.storage), conformance.departures(content, symbol, model)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except CVMError as error:
        raise CVMError(f"{name}: {error}") from None


def _assemble(symbol: Symbol, arrays: dict[str, Array]) -> Model:
    variables = {node.name: i for i, node in enumerate(symbol.nodes) if node.is_variable}
    if INPUT not in variables:
        raise CVMError(f"the model has no input variable called {INPUT!r}")
    model = Model(
        nodes=symbol.nodes,
        heads=symbol.heads,
        params={name: value.astype(np.int32) for name, value in arrays.items()},
        precisions={name: symbol.precisions[i][0] for name, i in variables.items()},
        input_shape=symbol.shapes[variables[INPUT]][0],
    )
    for node, stored, inferred in zip(model.nodes, symbol.shapes, model.infer().shapes):
        if stored != inferred:
            raise CVMError(f"node {node.name!r}: the stored shape {stored} differs from the inferred {inferred}")
    return model
